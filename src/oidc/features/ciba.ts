import { readIdentifier } from '../../directory/identifiers.ts'
import * as users from '../../directory/users.ts'
import { uuidv7 } from '../../platform/secrets.ts'
import { findAccount } from '../accounts.ts'
import { enqueueQuestion } from '../ciba.ts'
import { errors, type KoaContextWithOIDC } from '../engine.ts'
import { seeAccount, seenHere } from '../seen.ts'
import type { Wiring } from '../wiring.ts'
import type { Feature } from './feature.ts'

/** Requests to people who are elsewhere (CIBA Core 1.0), by poll and ping; who a client asks for is not told to it. */
export const ciba: Feature = (wiring) => ({
  ciba: {
    enabled: true,
    deliveryModes: ['poll', 'ping'],
    processLoginHint: (ctx, hint) => whoIs(wiring, ctx, hint ?? ''),
    processLoginHintToken: () => {
      throw new errors.InvalidRequest('login_hint_token is not supported')
    },
    validateBindingMessage: (_ctx, message) => {
      if (message !== undefined && !/^[\p{L}\p{N}\p{Sc} .,+#!?()-]{1,60}$/u.test(message))
        throw new errors.InvalidBindingMessage('up to 60 letters, digits, currency signs, spaces and .,+#!?()-')
    },
    validateRequestContext: () => {},
    verifyUserCode: () => {},
    // Asking takes its time, which must not tell whether there is anybody to ask: a job does it.
    triggerAuthenticationDevice: async (ctx, request, account, client) => {
      const { params = {} } = ctx.oidc
      const { services, workspace } = wiring
      await enqueueQuestion(services, {
        workspaceId: workspace.id,
        clientId: client.clientId,
        ip: ctx.ip,
        bindingMessage: textOf(params.binding_message),
        hint: textOf(params.login_hint) ?? account.accountId,
        userId: nobodyOf(ctx, account.accountId) || isAskedOf(account) ? undefined : account.accountId,
        expiresAt: services.clock.now().getTime() + request.expiration * 1000,
        id: request.jti,
        notificationToken: textOf(params.client_notification_token),
      })
    },
  },
})

/** Who has to pass an operator's script or application at a sign-in: there is no sign-in here to ask them in. */
const isAskedOf = (account: object): boolean => (account as { askedOf?: boolean }).askedOf === true

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)

const nobody = 'nobody-'

/** What nobody is called, where a request for them has to look like any other one (CIBA Core 1.0 section 14). */
export const nobodyOf = ({ oidc }: KoaContextWithOIDC, sub: string) =>
  oidc.route === 'backchannel_authentication' && sub.startsWith(nobody)
    ? { accountId: sub, claims: async () => ({ sub }) }
    : undefined

/**
 * The one person of the client's pools who goes by a hint and can be asked this way; else a nobody, who never answers.
 */
const whoIs = async ({ services, workspace }: Wiring, ctx: KoaContextWithOIDC, hint: string): Promise<string> => {
  const wanted = ctx.oidc.client?.connections as string[] | null | undefined
  const open = workspace.connections.filter(
    ({ id, enabled, pool }) => enabled && pool.status === 'active' && (!wanted || wanted.includes(id)),
  )
  const found = await Promise.all(
    open.map(({ pool }) => {
      const identifier = readIdentifier(hint, pool.settings.identifiers, pool.settings.default_country)
      return identifier && users.findByIdentifier(services.db, pool.id, identifier)
    }),
  )
  const people = found.filter((user) => user !== undefined)
  const [user] = people
  const here = seenHere()
  if (user && here) seeAccount(here.seen, user)
  const account = user && people.length === 1 ? await findAccount({ services, workspace }, ctx, user.id) : undefined
  return account && !isAskedOf(account) ? account.accountId : `${nobody}${uuidv7(services.clock.now())}`
}
