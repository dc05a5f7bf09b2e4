import type { Workspace } from '../directory/workspaces.ts'
import type { Services } from '../services.ts'
import type { Configuration, KoaContextWithOIDC } from './engine.ts'
import type { SigningKeys } from './keys.ts'

/** The pages that the engine shows, drawn by whoever knows the views. */
export interface EnginePages {
  problem(
    ctx: KoaContextWithOIDC,
    workspace: Workspace,
    error: { error: string; error_description?: string },
  ): Promise<void>
  logout(ctx: KoaContextWithOIDC, workspace: Workspace, form: { action: string; xsrf: string }): Promise<void>
  loggedOut(ctx: KoaContextWithOIDC, workspace: Workspace): Promise<void>
}

/** What the engine of a workspace is made of. */
export interface Wiring {
  services: Services
  workspace: Workspace
  keys: SigningKeys
  adapter: Configuration['adapter']
  pages: EnginePages
}
