import { acrCheck } from './acr.ts'
import { isFirstParty } from './clients.ts'
import { interactionPolicy, type KoaContextWithOIDC } from './engine.ts'

/** When somebody has to be asked: the engine's own checks, and ours. */
export const promptsOf = () => {
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
  policy.add(new Prompt({ name: 'select_account', requestable: true }), 0)
  const consent = policy.get('consent')
  consent?.checks.remove('native_client_prompt')
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
