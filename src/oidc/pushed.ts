import { decodeJwt, decodeProtectedHeader, UnsecuredJWT } from 'jose'
import type { Workspace } from '../directory/workspaces.ts'
import type { Clock } from '../platform/clock.ts'
import { Provider } from './engine.ts'

/** FAPI 2.0 Security Profile section 5.3.2.2: a pushed request is good for less than 600 seconds. */
const mostOfProfile = 599

interface Pushed {
  request: string
  save(ttl: number): Promise<string>
}

/**
 * Lets a pushed request (RFC 9126) begin sign-ins for as long as its workspace says; the engine knows 60 seconds and
 * nothing else. A signed request is good no longer than it says itself.
 */
export const timePushed = (provider: Provider, clock: Clock, { settings }: Workspace): void => {
  const { prototype } = provider.PushedAuthorizationRequest as unknown as { prototype: Pushed }
  const { save } = prototype
  const lasting = new WeakMap<object, number>()
  prototype.save = function () {
    const profile = Provider.ctx?.oidc.client?.profile
    const { pushed_request: lifetime } = settings.lifetimes
    const seconds = secondsOf(this, clock, profile ? Math.min(lifetime, mostOfProfile) : lifetime)
    lasting.set(this, seconds)
    return save.call(this, seconds)
  }
  provider.on('pushed_authorization_request.success', ({ oidc, body }) => {
    const seconds = lasting.get(oidc.entities.PushedAuthorizationRequest ?? {})
    Object.assign(body as object, { expires_in: seconds })
  })
}

/** How long a request lasts; one that nobody signed is the engine's own, and says so itself. */
const secondsOf = (pushed: Pushed, clock: Clock, lifetime: number): number => {
  const said = decodeJwt(pushed.request)
  if (decodeProtectedHeader(pushed.request).alg === 'none') {
    pushed.request = new UnsecuredJWT({ ...said, exp: Number(said.nbf) + lifetime }).encode()
    return lifetime
  }
  return Math.max(1, Math.min(lifetime, Math.floor(Number(said.exp)) - Math.floor(clock.now().getTime() / 1000)))
}
