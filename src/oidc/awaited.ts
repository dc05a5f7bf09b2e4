import { sql } from 'kysely'
import type { AdapterPayload } from 'oidc-provider'
import type { Workspace } from '../directory/workspaces.ts'
import { type Keyring, sha256 } from '../platform/secrets.ts'
import type { Services } from '../services.ts'
import { errors, Provider } from './engine.ts'

/** What a client asks for again and again until a person has answered (RFC 8628, CIBA Core 1.0). */
const awaited = new Set(['DeviceCode', 'BackchannelAuthenticationRequest'])

export const isAwaited = (kind: string): boolean => awaited.has(kind)

/** Whether a person has answered. */
export const isAnswered = (kind: string, { accountId, grantId, error }: Partial<AdapterPayload>): boolean =>
  error !== undefined || (kind === 'DeviceCode' ? accountId : grantId) !== undefined

/** What a record is called where its own value is not known: by what it is stored under. */
export const referenceOf = (id: string): string => `#${id}`

/** What a reference refers to; undefined for everything that is none. */
export const referredTo = (value: string): string | undefined => (value.startsWith('#') ? value.slice(1) : undefined)

/** What a user code is stored as: so few letters could be found from a plain hash. */
export const mark = (keyring: Keyring, userCode: unknown): string => keyring.hmac('user code', String(userCode))

/** Without what only its holder may know: the user code, and what a client is told by (CIBA Core 1.0 section 7.1). */
export const withoutSecrets = ({
  userCode: _userCode,
  ...payload
}: Record<string, unknown>): Record<string, unknown> => {
  const { params } = payload as { params?: Record<string, unknown> }
  if (params?.client_notification_token === undefined) return payload
  const { client_notification_token: _token, ...kept } = params
  return { ...payload, params: kept }
}

/** Lets one answer through, of twenty at once the first. Throws `invalid_request` for the others. */
export const firstAnswer = async (
  { hot }: Services,
  { workspaceId, id }: { workspaceId: string; id: string },
  { exp }: AdapterPayload,
): Promise<void> => {
  const first = await hot.first(`answer ${workspaceId} ${id}`, new Date((exp ?? 0) * 1000))
  if (!first) throw new errors.InvalidRequest('this was answered already')
}

/**
 * Keeps clients to their pace while nobody has answered (RFC 8628 section 3.5): who asks too soon has to wait five
 * seconds longer from then on. The pace is kept with the record, so that it holds on every node.
 */
export const keepPace = (provider: Provider, services: Services, workspace: Workspace): void => {
  for (const Model of [provider.DeviceCode, provider.BackchannelAuthenticationRequest]) {
    const find = Model.find.bind(Model) as (value: string, options?: object) => Promise<AdapterPayload | undefined>
    const paced = async (value: string, options?: object) => {
      const asking = Provider.ctx?.oidc.route === 'token'
      // A reference is what the database knows: it must not be worth what the client was given.
      if (asking && referredTo(value) !== undefined) return undefined
      const found = await find(value, options)
      if (!asking || !found || isAnswered(Model.name, found) || found.isExpired) return found
      if (found.clientId === Provider.ctx?.oidc.client?.clientId && (await tooSoon(services, workspace, value)))
        throw new errors.SlowDown('ask again later')
      return found
    }
    Model.find = paced as never
  }
}

/** Half a second is forgiven: networks are not that even. */
const tooSoon = async ({ db, clock }: Services, workspace: Workspace, value: string): Promise<boolean> => {
  const at = clock.now()
  const { rows } = await sql<{ early: boolean }>`
    with before as (
      select workspace_id, id, coalesce(polled_at + make_interval(secs => poll_seconds - 0.5) > ${at}, false) as early
      from artifacts where workspace_id = ${workspace.id} and id = ${sha256(value)} for update
    )
    update artifacts a set polled_at = ${at},
      poll_seconds = case when before.early then least(a.poll_seconds + 5, 60) else a.poll_seconds end
    from before where a.workspace_id = before.workspace_id and a.id = before.id
    returning before.early`.execute(db)
  return rows[0]?.early ?? false
}
