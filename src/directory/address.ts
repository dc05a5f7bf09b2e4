import type { Config } from '../config.ts'
import type { Workspace } from './workspaces.ts'

type Placed = Pick<Workspace, 'slug' | 'origin'>

/** The path that everything of a workspace is below: empty at a domain of its own. */
export const pathOf = ({ slug, origin }: Placed): string => (origin === null ? `/w/${slug}` : '')

/** The issuer identifier of a workspace (RFC 8414 section 2): every link to it begins with this. */
export const issuerOf = ({ publicUrl }: Pick<Config, 'publicUrl'>, workspace: Placed): string =>
  `${workspace.origin ?? publicUrl}${pathOf(workspace)}`
