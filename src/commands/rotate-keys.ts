import * as workspaces from '../directory/workspaces.ts'
import { refuseFixed } from '../oidc/key-store.ts'
import * as keys from '../oidc/keys.ts'
import { systemClock } from '../platform/clock.ts'
import { openKeyring } from '../platform/secrets.ts'
import { type Command, onFoundation, UsageError } from './command.ts'

export const rotateKeys: Command = {
  usage:
    'lido rotate-keys WORKSPACE            make new signing keys; they sign in 15 minutes, when every client knows them',
  run: async ([slug, ...rest], read) => {
    if (slug === undefined || rest.length > 0) throw new UsageError('Name one workspace.')
    return onFoundation(read(), async ({ config, connection: { db } }) => {
      const workspace = await workspaces.findBySlug(db, slug)
      if (!workspace) throw new Error(`There is no workspace "${slug}".`)
      const keyring = openKeyring(config.secrets)
      await refuseFixed({ config }, workspace)
      await keys.rotate(db, keyring, systemClock.now(), workspace.id)
      return { text: `New keys of ${slug} are published.` }
    })
  },
}
