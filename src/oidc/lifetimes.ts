import type { WorkspaceSettings } from '../directory/workspaces.ts'
import type { Clock } from '../platform/clock.ts'
import type { Configuration } from './engine.ts'

type Lifetimes = WorkspaceSettings['lifetimes']

/** What a client says instead of its workspace; null where it says nothing. */
interface Own {
  access_token_lifetime?: number | null
  id_token_lifetime?: number | null
  refresh_idle?: number | null
  refresh_absolute?: number | null
  profile?: string | null
}

/** How long everything lasts that the engine makes, in seconds: as the workspace says, or the client where it does. */
export const lifetimesOf = (lifetimes: Lifetimes, clock: Clock): NonNullable<Configuration['ttl']> => ({
  AccessToken: (_ctx, token, client) => accessToken(lifetimes, client as Own, token.resourceServer?.accessTokenTTL),
  ClientCredentials: (_ctx, token, client) =>
    accessToken(lifetimes, client as Own, token.resourceServer?.accessTokenTTL),
  AuthorizationCode: (_ctx, _code, client) => ((client as Own).profile ? Math.min(60, lifetimes.code) : lifetimes.code),
  DeviceCode: 600,
  // CIBA Core 1.0 section 7.1: as the client wishes, up to ten minutes.
  BackchannelAuthenticationRequest: (_ctx, { params }) =>
    Math.min(600, Math.max(30, Number((params as Record<string, unknown> | undefined)?.requested_expiry) || 300)),
  IdToken: (_ctx, _token, client) => (client as Own).id_token_lifetime ?? lifetimes.id_token,
  Interaction: lifetimes.interaction,
  Session: (_ctx, { loginTs }) => {
    const since = loginTs === undefined ? 0 : now(clock) - loginTs
    return Math.max(1, Math.min(lifetimes.session_idle, lifetimes.session_absolute - since))
  },
  // Whatever hangs on a grant ends by itself before it does.
  Grant: (ctx) => Math.max(lifetimes.refresh_absolute, (ctx?.oidc.client as Own | undefined)?.refresh_absolute ?? 0),
  // Idle time, cut by what is left of the absolute time since the first token of the family.
  RefreshToken: (_ctx, token, client) => {
    const absolute = (client as Own).refresh_absolute ?? lifetimes.refresh_absolute
    const idle = (client as Own).refresh_idle ?? lifetimes.refresh_idle
    const since = now(clock) - (token.iiat ?? token.iat ?? 0)
    const left = token.iiat === undefined ? absolute : absolute - since
    return Math.max(1, Math.min(idle, left))
  },
})

/** A resource's tokens last no longer than the resource says, whatever a client says. */
const accessToken = (
  lifetimes: Lifetimes,
  { access_token_lifetime: own }: Own,
  resource: number | undefined,
): number => (own ? Math.min(own, resource ?? own) : (resource ?? lifetimes.access_token))

const now = (clock: Clock): number => Math.floor(clock.now().getTime() / 1000)
