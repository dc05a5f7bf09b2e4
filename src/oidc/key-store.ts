import { KmsTrouble } from '../platform/kms-trouble.ts'
import { Problem } from '../platform/problem.ts'
import type { Services } from '../services.ts'
import { hasFiles, type KeyFolders, listFiles, loadFiles } from './key-files.ts'
import * as keys from './keys.ts'
import type { SigningKeys } from './signing-keys.ts'

/** Where the signing keys of a workspace are. A store knows its keys and their order; a key knows who signs by it. */
export interface KeyStore {
  /** Whether keys are made, changed over and withdrawn by this program, or by whoever keeps them. */
  changeable: boolean
  /** The keys that are published now. Throws where they cannot be read, the problem `unavailable` where AWS KMS does not help. */
  load(at: Date): Promise<SigningKeys>
  /** As anyone may know them, the newest first, from the one after `after`. */
  list(at: Date, page: Page): Promise<keys.KeyRecord[]>
}

type Page = Parameters<typeof keys.list>[3]
type Opened = Pick<Services, 'db' | 'keyring' | 'config' | 'kms'>
interface Named {
  id: string
  slug: string
}

/** The store of a workspace: its folder where there is one, else the database. */
export const keyStoreOf = async (services: Opened, workspace: Named): Promise<KeyStore> => {
  const { config, kms } = services
  return config.keysDir !== undefined && (await hasFiles(config, workspace.slug))
    ? inFolder(services, { keysDir: config.keysDir, kms }, workspace)
    : inDatabase(services, workspace)
}

/** Throws `conflict` for a workspace whose keys are somebody else's to change. */
export const refuseFixed = async ({ config }: Pick<Opened, 'config'>, { slug }: Named): Promise<void> => {
  if (!(await hasFiles(config, slug))) return
  throw new Problem('conflict', { detail: 'The keys of this workspace are files in KEYS_DIR: they are changed there.' })
}

const inDatabase = ({ db, keyring }: Opened, { id }: Named): KeyStore => ({
  changeable: true,
  load: (at) => keys.load(db, keyring, at, id),
  list: (at, page) => keys.list(db, at, id, page),
})

/** What keys of the database signed, before there was a folder, is good for as long as they are published. */
const inFolder = ({ db }: Opened, folders: KeyFolders, { id, slug }: Named): KeyStore => ({
  changeable: false,
  load: async (at) => {
    const { keys: own, changesAt } = await loadFiles(folders, slug, at).catch(refuse)
    const before = await keys.loadPublic(db, at, id)
    // An algorithm that the folder has no key for is switched off.
    return { keys: [...own, ...before.filter(({ alg }) => own.some((key) => key.alg === alg))], changesAt }
  },
  list: async (_at, { limit, after }) => {
    const all = await listFiles(folders, slug).catch(refuse)
    const from = after === undefined ? 0 : all.findIndex(({ id }) => id === after[1]) + 1
    return all.slice(from, from + limit)
  },
})

const refuse = (cause: unknown): never => {
  throw cause instanceof KmsTrouble ? new Problem('unavailable', { retryAfter: 2, cause }) : cause
}
