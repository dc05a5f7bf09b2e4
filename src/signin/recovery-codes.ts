import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import type { Db } from '../db/connect.ts'
import * as credentials from '../directory/credentials.ts'
import { type Keyring, sha256 } from '../platform/secrets.ts'

const howMany = 10

/** From here on, whoever uses one is asked whether they want new ones. */
export const fewCodes = 3

/** Letters and digits that cannot be taken for each other (Crockford's base 32): five bits each, 24 of them a code. */
const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

/** Gives a user new codes in the place of any there were; only their hashes are kept, so this is the only chance to see them. */
export const renewCodes = async (db: Db, at: Date, poolId: string, userId: string): Promise<string[]> => {
  const codes = Array.from({ length: howMany }, newCode)
  await credentials.setCodes(db, at, poolId, userId, codes.map(codeHash))
  return codes
}

/** 120 random bits need no slow hash (ASVS 5.0, 6.5.2). However it was typed. */
export const codeHash = (typed: string): string =>
  sha256(
    typed
      .normalize('NFKC')
      .toUpperCase()
      .replace(/[^0-9A-Z]/g, '')
      .replaceAll('O', '0')
      .replace(/[IL]/g, '1'),
  )

/** Codes until they have been shown: between two requests they are kept sealed, for one attempt. */
export const sealCodes = (keyring: Keyring, codes: readonly string[], boundTo: string): string =>
  keyring.seal(JSON.stringify(codes), `recovery codes ${boundTo}`)

export const openCodes = (keyring: Keyring, sealed: string, boundTo: string): string[] =>
  z.array(z.string()).parse(JSON.parse(keyring.open(sealed, `recovery codes ${boundTo}`)))

const newCode = (): string =>
  Array.from(randomBytes(24), (byte) => alphabet[byte & 31])
    .join('')
    .replace(/(.{6})(?=.)/g, '$1-')
