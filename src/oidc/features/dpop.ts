import { decodeJwt } from 'jose'
import type { Clock } from '../../platform/clock.ts'
import type { Feature } from './feature.ts'

/** How far the time of a proof may be from ours, in seconds, where no nonce of ours says when it was made. */
const window = 60

/**
 * Tokens that only the holder of a key can use (RFC 9449). Every answer to a proof brings a nonce, the same on every node;
 * a proof whose time is far from ours needs it, so that clients with a wrong clock can go on (section 8).
 */
export const dpop: Feature = ({ services, workspace }) => ({
  dPoP: {
    enabled: true,
    nonceSecret: Buffer.from(services.keyring.hmac('dpop nonce', workspace.id), 'base64url'),
    requireNonce: (ctx) => isFar(services.clock, ctx.get('DPoP')),
    allowReplay: false,
  },
})

// What cannot be read is refused by the engine, whatever is said here.
const isFar = (clock: Clock, proof: string): boolean => {
  try {
    const { iat } = decodeJwt(proof)
    return typeof iat !== 'number' || Math.abs(clock.now().getTime() / 1000 - iat) > window
  } catch {
    return false
  }
}
