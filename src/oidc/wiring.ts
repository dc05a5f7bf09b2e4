import type { Context } from 'koa'
import type { Context as Learnt } from '../directory/contexts.ts'
import type { Resource } from '../directory/resources.ts'
import type { User } from '../directory/users.ts'
import type { Connection, Workspace } from '../directory/workspaces.ts'
import type { Services } from '../services.ts'
import type { Configuration, KoaContextWithOIDC } from './engine.ts'
import type { PostedAnswer } from './form-post.ts'
import type { SigningKeys } from './signing-keys.ts'

/** The pages that the engine shows, drawn by whoever knows the views. */
export interface EnginePages {
  problem(
    ctx: KoaContextWithOIDC,
    workspace: Workspace,
    error: { error: string; error_description?: string },
  ): Promise<void>
  logout(ctx: KoaContextWithOIDC, workspace: Workspace, form: { action: string; xsrf: string }): Promise<void>
  loggedOut(ctx: KoaContextWithOIDC, workspace: Workspace): Promise<void>
  formPost(ctx: Context, workspace: Workspace, answer: PostedAnswer): Promise<void>
  /** Where a person types the code that a device shows (RFC 8628 section 3.3), or is told what became of it. */
  userCode(ctx: KoaContextWithOIDC, workspace: Workspace, asking: AskingUserCode): Promise<void>
  deviceDone(ctx: KoaContextWithOIDC, workspace: Workspace): Promise<void>
  /** Counts one more registration, or change of one, from here; false where it is one too many. */
  mayRegister(ctx: Context, workspace: Workspace, what: 'registration' | 'change'): Promise<boolean>
  /** Counts one more document of a client that is fetched for a request from here; false where it is one too many. */
  mayFetch(ctx: Context, workspace: Workspace): Promise<boolean>
  /** Counts one more request that a client which anybody can be leaves from here; false where it is one too many. */
  mayLeave(ctx: Context, workspace: Workspace): boolean
  /** Counts one more user code that is tried from here; false where it is one too many. */
  mayTry(ctx: Context, workspace: Workspace): Promise<boolean>
}

/** The engine's form for a user code. What is wrong with a code is never said: it is `wrong`. */
export interface AskingUserCode {
  action: string
  xsrf: string
  outcome: 'wrong' | 'over' | 'refused' | 'cancelled' | undefined
}

/** What the engine of a workspace is made of. */
export interface Wiring {
  services: Services
  workspace: Workspace
  keys: SigningKeys
  /** What the workspace gives access tokens for; clients may name others, too. */
  resources: readonly Resource[]
  adapter: Configuration['adapter']
  pages: EnginePages
  reload: Reload
}

/**
 * Asks again whoever keeps somebody's account elsewhere, or who let them in; undefined where they may not come in any more.
 * What their sign-in has learnt comes back as it is then.
 */
export type Reload = (
  user: User,
  connection: Connection,
  find: () => Promise<Learnt | undefined>,
) => Promise<Reloaded | undefined>

export interface Reloaded {
  user: User
  context: Learnt | undefined
}
