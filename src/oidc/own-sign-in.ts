import { interactionPolicy, type KoaContextWithOIDC } from './engine.ts'

/** What a session remembers of a client; `proven` where somebody has proven who they are for this very client. */
interface Known {
  proven?: true
}

interface Remembering {
  accountId?: string
  ensureClientContainer(clientId: string): void
  authorizationFor(clientId: string): Known
  touched: boolean
}

/**
 * Whether a client that takes no part in single sign-on has to have people prove themselves: a sign-in to another client
 * does not count for it, one to itself does as long as the session lasts.
 */
export const ownSignIn = () =>
  new interactionPolicy.Check(
    'sign_in_of_its_own',
    'this client needs a sign-in of its own',
    'login_required',
    (ctx) => {
      const { client, result, session } = (ctx as KoaContextWithOIDC).oidc
      const known = session as unknown as Remembering | undefined
      if (client?.sso !== false || known?.accountId === undefined) return false
      known.ensureClientContainer(client.clientId)
      const authorization = known.authorizationFor(client.clientId)
      if (result?.login) {
        authorization.proven = true
        known.touched = true
      }
      return authorization.proven !== true
    },
  )
