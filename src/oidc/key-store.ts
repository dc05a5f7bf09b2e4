import { Problem } from '../platform/problem.ts'
import type { Services } from '../services.ts'
import { hasFiles, listFiles, loadFiles } from './key-files.ts'
import * as keys from './keys.ts'

/** Where the signing keys of a workspace are. What they sign is signed here: a store hands over private keys. */
export interface KeyStore {
  /** Whether keys are made, changed over and withdrawn by this program, or by whoever keeps them. */
  changeable: boolean
  /** The keys that are published now. Throws where they cannot be read. */
  load(at: Date): Promise<keys.SigningKeys>
  /** Without their private parts, the newest first, from the one after `after`. */
  list(at: Date, page: Page): Promise<keys.KeyRecord[]>
}

type Page = Parameters<typeof keys.list>[3]
type Opened = Pick<Services, 'db' | 'keyring' | 'config'>
interface Named {
  id: string
  slug: string
}

/** The store of a workspace: its files where there are any, else the database. */
export const keyStoreOf = async (services: Opened, workspace: Named): Promise<KeyStore> => {
  const { keysDir } = services.config
  return keysDir !== undefined && (await hasFiles(services.config, workspace.slug))
    ? inFiles(keysDir, workspace)
    : inDatabase(services, workspace)
}

/** Throws `conflict` for a workspace whose keys are somebody else's to change. */
export const refuseFixed = async (services: Opened, workspace: Named): Promise<void> => {
  if ((await keyStoreOf(services, workspace)).changeable) return
  throw new Problem('conflict', { detail: 'The keys of this workspace are files in KEYS_DIR: they are changed there.' })
}

const inDatabase = ({ db, keyring }: Opened, { id }: Named): KeyStore => ({
  changeable: true,
  load: (at) => keys.load(db, keyring, at, id),
  list: (at, page) => keys.list(db, at, id, page),
})

const inFiles = (keysDir: string, { slug }: Named): KeyStore => ({
  changeable: false,
  load: (at) => loadFiles(keysDir, slug, at),
  list: async (_at, { limit, after }) => {
    const all = await listFiles(keysDir, slug)
    const from = after === undefined ? 0 : all.findIndex(({ id }) => id === after[1]) + 1
    return all.slice(from, from + limit)
  },
})
