// The address of the service and the API key, for every command that talks to the service.

import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { Client } from '../client/client.ts';
import { AntequemError, messageOf } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import { DEFAULT_URL } from './options.ts';

/** The options of every command. */
export interface GlobalOptions {
  readonly json?: boolean;
  readonly url?: string;
  readonly apiKeyFile?: string;
}

export interface Session {
  readonly json: boolean;
  readonly client: Client;
  /** `--url …` as the user gave it, to repeat it in suggested commands; otherwise empty. */
  readonly urlOption: string;
}

/** @throws AntequemError `url-invalid`, `api-key-unreadable`, `endpoints-invalid` */
export function openSession(command: Command, env: NodeJS.ProcessEnv = process.env, cwd = process.cwd()): Session {
  const options = command.optsWithGlobals<GlobalOptions>();
  const url = options.url ?? env.ANTEQUEM_URL ?? localEndpoint('url', cwd, env.DATA_DIR) ?? DEFAULT_URL;
  checkUrl(url);
  const apiKey = apiKeyOf(options, env);
  return {
    json: options.json === true,
    client: new Client(apiKey === undefined || apiKey === '' ? { url } : { url, apiKey }),
    urlOption: options.url === undefined ? '' : ` --url ${options.url}`,
  };
}

/** The API key that the options or the environment name. @throws AntequemError `api-key-unreadable` */
export function apiKeyOf({ apiKeyFile }: GlobalOptions, env: NodeJS.ProcessEnv = process.env): string | undefined {
  return apiKeyFile === undefined ? env.ANTEQUEM_API_KEY : readKey(apiKeyFile);
}

function checkUrl(url: string): void {
  const parsed = URL.parse(url);
  if (parsed === null || !['http:', 'https:'].includes(parsed.protocol) || parsed.search !== '' || parsed.hash !== '') {
    throw new AntequemError(
      'url-invalid',
      `not the URL of a service: ${JSON.stringify(url)}; write it like ${DEFAULT_URL}`,
    );
  }
}

function readKey(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (cause) {
    throw new AntequemError('api-key-unreadable', `cannot read the API key file ${file}: ${messageOf(cause)}`, {
      cause,
    });
  }
}

/**
 * Reads an endpoint that local mode wrote at its start: in the folder that DATA_DIR names, else in `.antequem` of `cwd` or of a
 * folder above. @throws AntequemError `endpoints-invalid`
 */
export function localEndpoint(
  name: 'url' | 'databaseUrl',
  cwd = process.cwd(),
  dataDir = process.env.DATA_DIR,
): string | undefined {
  if (dataDir !== undefined && dataDir !== '') {
    const file = join(resolve(cwd, dataDir), 'endpoints.json');
    const text = readIfThere(file);
    return text === null ? undefined : endpointIn(text, name, file);
  }
  for (let folder = resolve(cwd); ; folder = dirname(folder)) {
    const file = join(folder, '.antequem', 'endpoints.json');
    const text = readIfThere(file);
    if (text !== null) return endpointIn(text, name, file);
    if (dirname(folder) === folder) return undefined;
  }
}

function endpointIn(text: string, name: string, file: string): string {
  const endpoints = parseJson(text);
  const found = typeof endpoints === 'object' && endpoints !== null ? Object.entries(endpoints) : [];
  const value: unknown = found.find(([key]) => key === name)?.[1];
  if (typeof value === 'string') return value;
  throw new AntequemError('endpoints-invalid', `no "${name}" in ${file}; start local mode again, or pass --url`);
}

function readIfThere(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}
