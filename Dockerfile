# One image for every role: `antequem serve` as the user 1000 (node), by number, so that Kubernetes can tell that it is not root.
# `--target local` has what a local chain and Bitcoin need too.

FROM node:24-bookworm-slim AS sources
WORKDIR /antequem
COPY package.json package-lock.json .npmrc ./
COPY test/support/anvil test/support/anvil
COPY test/support/fs-placeholder test/support/fs-placeholder
RUN npm ci --ignore-scripts
COPY . .

FROM sources AS built
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM sources AS local
# The local chain stores what it compiles.
RUN mkdir artifacts cache && chown 1000:1000 artifacts cache
USER 1000:1000
ENV HARDHAT_DISABLE_TELEMETRY=true NODE_BACKEND=js

FROM node:24-bookworm-slim AS service
WORKDIR /antequem
ENV NODE_ENV=production HOST=0.0.0.0
COPY --from=built /antequem/package.json ./
COPY --from=built /antequem/node_modules node_modules
COPY --from=built /antequem/dist dist
COPY --from=built /antequem/src/cli/antequem.js src/cli/antequem.js
RUN chmod 755 src/cli/antequem.js && ln -s /antequem/src/cli/antequem.js /usr/local/bin/antequem
USER 1000:1000
EXPOSE 3963
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:3963/readyz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["antequem"]
CMD ["serve"]
