import type { Workspace } from '../directory/workspaces.ts'
import { acrCheck, stepUpReason } from './acr.ts'
import { isAskedAlways, isFirstParty } from './clients.ts'
import { interactionPolicy, type KoaContextWithOIDC } from './engine.ts'
import { isForDevice } from './features/device.ts'
import { ownSignIn } from './own-sign-in.ts'
import { subCheck } from './requested-claims.ts'
import { wasAsked } from './said.ts'

const askOperator = 'post_authentication'

/** Reasons for which a session goes on, once what is missing was done; any other one asks for everything again. */
export const goesOn: ReadonlySet<string> = new Set([stepUpReason, askOperator])

/** What a request may ask for with `prompt`; `create` only where somebody may register (Initiating User Registration 1.0). */
export const promptValues = (workspace: Workspace): string[] => [
  'none',
  'login',
  'consent',
  'select_account',
  ...(isOpenToNew(workspace) ? ['create'] : []),
]

const isOpenToNew = ({ connections }: Workspace): boolean =>
  connections.some(({ enabled, pool }) => enabled && pool.status === 'active' && pool.settings.self_registration)

/** When somebody has to be asked: the engine's own checks, and ours. */
export const promptsOf = (workspace: Workspace) => {
  const { Check, Prompt } = interactionPolicy
  const policy = interactionPolicy.base()
  const login = policy.get('login')
  // A session whose person was disabled, deleted or disconnected is nobody's session.
  login?.checks.add(
    new Check('account_gone', 'the account is no longer available', 'login_required', (ctx) => {
      const { oidc } = ctx as KoaContextWithOIDC
      return oidc.session?.accountId !== undefined && oidc.account === undefined
    }),
  )
  // One check of ours for every way to ask for an acr.
  for (const reason of ['essential_acr', 'essential_acrs']) login?.checks.remove(reason)
  login?.checks.add(acrCheck())
  // The engine looks at one `value` alone, and asks for ever whoever cannot be that person.
  login?.checks.remove('claims_id_token_sub_value')
  login?.checks.add(subCheck(workspace))
  login?.checks.add(ownSignIn())
  // A session lets nobody past what the operator wants asked for each client: a script may let somebody into one of them.
  login?.checks.add(
    new Check(askOperator, 'the operator of the service has yet to be asked', 'interaction_required', (ctx) => {
      const { account, grant, result, session } = (ctx as KoaContextWithOIDC).oidc
      const { askedOf } = (account ?? {}) as { askedOf?: boolean }
      return session?.accountId !== undefined && askedOf === true && !result?.login && !wasAsked(grant)
    }),
  )
  policy.add(new Prompt({ name: 'select_account', requestable: true }), 0)
  if (isOpenToNew(workspace)) policy.add(new Prompt({ name: 'create', requestable: true }), 0)
  const consent = policy.get('consent')
  consent?.checks.remove('native_client_prompt')
  // Details are of one request: whoever agreed to others before is asked again (RFC 9396 section 12).
  consent?.checks.remove('rar_prompt')
  consent?.checks.add(
    new Check('details', 'the person has to agree to the details', 'consent_required', (ctx) => {
      const { client, params, result } = (ctx as KoaContextWithOIDC).oidc
      return Boolean(params?.authorization_details) && !isFirstParty(client ?? {}) && !result?.consent
    }),
  )
  // RFC 8628 section 5.4: a person is asked about every device, whatever they agreed to before.
  consent?.checks.add(
    new Check('device', 'the person has to say that the device is theirs', 'interaction_required', (ctx) => {
      const { oidc } = ctx as KoaContextWithOIDC
      return isForDevice(ctx as KoaContextWithOIDC) && !oidc.result?.consent
    }),
  )
  // Whoever registered itself was looked at by nobody: people see each time whom they let in.
  consent?.checks.add(
    new Check(
      'unknown_client',
      'clients that nobody knows need the consent of the person',
      'consent_required',
      (ctx) => {
        const { client, result } = (ctx as KoaContextWithOIDC).oidc
        return client !== undefined && !isFirstParty(client) && isAskedAlways(workspace, client) && !result?.consent
      },
    ),
  )
  consent?.checks.add(
    new Check(
      'native_client_consent',
      'native clients need the consent of the person',
      'interaction_required',
      (ctx) => {
        const { oidc } = ctx as KoaContextWithOIDC
        return oidc.client?.applicationType === 'native' && !isFirstParty(oidc.client) && !oidc.result?.consent
      },
    ),
  )
  return policy
}
