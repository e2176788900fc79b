// The service as a timestamp authority (RFC 3161): it signs tokens, and each is a leaf of the next round before it is given.

import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { sha256 } from '#sha256';
import { concat, equalBytes } from '../core/bytes.ts';
import { AntequemError, FormatError, messageOf } from '../core/errors.ts';
import { MAX_CLOCK_SKEW_MS } from '../core/time.ts';
import { readCertificates, type X509Certificate } from './certificate.ts';
import { signerFault } from './chain.ts';
import {
  context,
  der,
  derSequence,
  generalizedTimeOf,
  integer,
  NULL,
  octetString,
  oid,
  setOf,
  utf8String,
} from './der.ts';
import { parseRequest, type ReceivedRequest, SHA256 } from './request.ts';
import { grantedResponse } from './response-file.ts';
import { ATTRIBUTE, SIGNED_DATA, TST_INFO } from './token.ts';
import { tokenCommitment, tokenDigest } from './token-leaf.ts';

export interface IssuerOptions {
  /** PEM: the signer's certificate first, then those of its chain that tokens bring along. */
  readonly certificates: Uint8Array;
  /** PEM of the private key. */
  readonly key: Uint8Array;
  /** OID. */
  readonly policy: string;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  readonly random: (length: number) => Uint8Array;
  /** How far the clock of the service is ahead of that of the database, milliseconds. */
  readonly clockAhead: () => Promise<number>;
  /** Resolves once the commitment is durable, and so a leaf of the next round. @throws what it fails with */
  readonly log: (commitment: Uint8Array) => Promise<void>;
}

/** Bits of PKIFailureInfo. */
const FAILURE = {
  badAlg: 0,
  badDataFormat: 5,
  timeNotAvailable: 14,
  unacceptedPolicy: 15,
  unacceptedExtension: 16,
} as const;

/** Bytes of the digests that are stamped, by OID. */
const DIGEST_BYTES: Readonly<Record<string, number>> = {
  [SHA256]: 32,
  '2.16.840.1.101.3.4.2.2': 48,
  '2.16.840.1.101.3.4.2.3': 64,
};

/** RSA PKCS #1 v1.5 and ECDSA, each with SHA-256. */
const SIGNATURES: Readonly<Record<string, Uint8Array>> = {
  rsa: derSequence(oid('1.2.840.113549.1.1.11'), NULL),
  ec: derSequence(oid('1.2.840.10045.4.3.2')),
};

const SERIAL_BYTES = 16;

export class Issuer {
  readonly #options: IssuerOptions;
  readonly #key: KeyObject;
  readonly #signature: Uint8Array;
  readonly #signer: X509Certificate;
  readonly #chain: readonly X509Certificate[];

  /** @throws AntequemError `authority-unusable` where key and certificate do not serve for it */
  constructor(options: IssuerOptions) {
    this.#options = options;
    const [signer, ...chain] = readCertificates(options.certificates);
    this.#key = readKey(options.key);
    const signature = SIGNATURES[this.#key.asymmetricKeyType ?? ''];
    const curve = this.#key.asymmetricKeyDetails?.namedCurve ?? 'prime256v1';
    const bits = this.#key.asymmetricKeyDetails?.modulusLength ?? 2_048;
    if (signer === undefined || signature === undefined || curve !== 'prime256v1' || bits < 2_048) {
      throw unusable('its key must be RSA of 2,048 bits or more, or ECDSA on P-256');
    }
    if (!equalBytes(publicKeyOf(this.#key), signer.publicKey)) throw unusable('the key is not that of the certificate');
    const fault = signerFault(signer, options.now());
    if (fault !== null) throw unusable(`its certificate ${fault}`);
    this.#signature = signature;
    this.#signer = signer;
    this.#chain = chain;
  }

  /** SHA-256 of the certificate that it signs with. */
  get certificateDigest(): Uint8Array {
    return sha256(this.#signer.raw);
  }

  /**
   * Answers a request: a token that is logged, or why there is none. Both are a TimeStampResp.
   * @throws what logging it fails with: then no token was given
   */
  async answer(der: Uint8Array): Promise<Uint8Array> {
    let request: ReceivedRequest;
    try {
      request = parseRequest(der);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      return rejection(FAILURE.badDataFormat, error.message);
    }
    const refused = this.#refusal(request);
    if (refused !== null) return refused;
    const { now, clockAhead, log } = this.#options;
    const ahead = await clockAhead();
    if (Math.abs(ahead) > MAX_CLOCK_SKEW_MS) {
      return rejection(FAILURE.timeNotAvailable, 'the clocks of service and database differ');
    }
    const time = now();
    if (signerFault(this.#signer, time) !== null) {
      return rejection(FAILURE.timeNotAvailable, 'the certificate of the authority is not valid now');
    }
    const token = await this.#token(request, time);
    await log(tokenCommitment(tokenDigest(token)));
    return grantedResponse(token);
  }

  #refusal({ algorithm, digest, policy, hasExtensions }: ReceivedRequest): Uint8Array | null {
    const bytes = DIGEST_BYTES[algorithm];
    if (bytes === undefined) return rejection(FAILURE.badAlg, 'digests are SHA-256, SHA-384 or SHA-512');
    if (digest.length !== bytes) return rejection(FAILURE.badDataFormat, 'the digest has another length than its hash');
    if (policy !== null && policy !== this.#options.policy) {
      return rejection(FAILURE.unacceptedPolicy, `the policy is ${this.#options.policy}`);
    }
    return hasExtensions ? rejection(FAILURE.unacceptedExtension, 'extensions are not known') : null;
  }

  async #token({ imprint, nonce, wantsCertificate }: ReceivedRequest, time: number): Promise<Uint8Array> {
    const { policy, random } = this.#options;
    // Random, so that no two processes, nor one that was started again, take the same.
    const serial = random(SERIAL_BYTES);
    const content = derSequence(
      integer(1),
      oid(policy),
      imprint,
      integer(serial),
      generalizedTimeOf(time),
      ...(nonce === null ? [] : [der(0x02, nonce)]),
    );
    const attribute = (type: string, value: Uint8Array): Uint8Array => derSequence(oid(type), setOf(value));
    const named = derSequence(derSequence(derSequence(octetString(sha256(this.#signer.raw)))));
    const attributes = setOf(
      attribute(ATTRIBUTE.contentType, oid(TST_INFO)),
      attribute(ATTRIBUTE.messageDigest, octetString(sha256(content))),
      attribute(ATTRIBUTE.signingCertificateV2, named),
    );
    const signature = await signed(attributes, this.#key);
    const hash = derSequence(oid(SHA256), NULL);
    const signerInfo = derSequence(
      integer(1),
      derSequence(this.#signer.issuer, der(0x02, this.#signer.serial)),
      hash,
      concat(Uint8Array.of(0xa0), attributes.subarray(1)),
      this.#signature,
      octetString(signature),
    );
    const certificates = wantsCertificate ? [this.#signer, ...this.#chain].map(({ raw }) => raw) : [];
    return derSequence(
      oid(SIGNED_DATA),
      context(
        0,
        derSequence(
          integer(3),
          setOf(hash),
          derSequence(oid(TST_INFO), context(0, octetString(content))),
          ...(certificates.length === 0 ? [] : [context(0, ...certificates)]),
          setOf(signerInfo),
        ),
      ),
    );
  }
}

function signed(data: Uint8Array, key: KeyObject): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    sign('sha256', data, key, (error, signature) => {
      if (error === null) resolve(new Uint8Array(signature));
      else reject(error);
    });
  });
}

function rejection(failure: number, says: string): Uint8Array {
  const bits = new Uint8Array(Math.floor(failure / 8) + 1);
  bits[bits.length - 1] = 0x80 >> (failure % 8);
  const unused = 7 - (failure % 8);
  const info = der(0x03, Uint8Array.of(unused), bits);
  return derSequence(derSequence(integer(2), derSequence(utf8String(says.slice(0, 200))), info));
}

function readKey(pem: Uint8Array): KeyObject {
  try {
    return createPrivateKey(Buffer.from(pem));
  } catch (cause) {
    throw new AntequemError('authority-unusable', `the key of the authority cannot be read: ${messageOf(cause)}`, {
      cause,
    });
  }
}

function publicKeyOf(key: KeyObject): Uint8Array {
  return new Uint8Array(createPublicKey(key).export({ format: 'der', type: 'spki' }));
}

function unusable(says: string): AntequemError {
  return new AntequemError('authority-unusable', `the service cannot be a timestamp authority: ${says}`);
}
