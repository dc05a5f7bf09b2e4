import { createPublicKey, type KeyObject } from 'node:crypto'
import { type Configuration, ExternalSigningKey } from './engine.ts'
import type { SigningKey, SigningKeys } from './signing-keys.ts'

/** A workspace's keys as the engine takes them. */
export const engineKeys = ({ keys }: SigningKeys): NonNullable<Configuration['jwks']> => ({
  keys: keys.map((key) => (key.is === 'far' ? new FarKey(key) : key.privateJwk)) as never,
})

class FarKey extends ExternalSigningKey {
  readonly #key: SigningKey & { is: 'far' }
  readonly #publicKey: KeyObject

  constructor(key: SigningKey & { is: 'far' }) {
    super()
    this.#key = key
    this.#publicKey = createPublicKey({ key: key.publicJwk, format: 'jwk' })
  }

  override get kid() {
    return this.#key.kid
  }

  override get alg() {
    return this.#key.alg
  }

  override keyObject() {
    return this.#publicKey
  }

  override sign(data: Uint8Array) {
    return this.#key.sign(data)
  }
}
