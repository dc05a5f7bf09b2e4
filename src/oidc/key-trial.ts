import { importJWK, type JWK, jwtVerify } from 'jose'
import { Problem } from '../platform/problem.ts'
import type { Services } from '../services.ts'
import { type KeyFolders, listFolders, loadFiles, namesKmsKeys } from './key-files.ts'
import { type SigningKey, signBy } from './signing-keys.ts'

/** What became of trying the keys of a folder of KEYS_DIR. */
export interface Trial {
  workspace: string
  /** How many of them were read. */
  keys: number
  /** Whether AWS KMS keeps one of them. */
  kms: boolean
  /** What is wrong; a `KmsTrouble` where AWS KMS says so. */
  trouble: Error | undefined
}

/** Reads the keys of every folder, and lets those that AWS KMS keeps sign something each. */
export const tryFolders = async ({
  config,
  kms,
  clock,
}: Pick<Services, 'config' | 'kms' | 'clock'>): Promise<Trial[]> => {
  const { keysDir } = config
  if (keysDir === undefined) return []
  const slugs = await listFolders(config)
  return Promise.all(slugs.map((slug) => tryFolder({ keysDir, kms }, slug, clock.now())))
}

const tryFolder = async (folders: KeyFolders, workspace: string, at: Date): Promise<Trial> => {
  const kms = await namesKmsKeys(folders.keysDir, workspace)
  let keys: readonly SigningKey[] = []
  try {
    keys = (await loadFiles(folders, workspace, at)).keys
    await Promise.all(keys.map(trySigning))
    return { workspace, keys: keys.length, kms, trouble: undefined }
  } catch (error) {
    return { workspace, keys: keys.length, kms, trouble: causeOf(error) }
  }
}

const trySigning = async (key: SigningKey): Promise<void> => {
  if (key.is === 'here') return
  const token = await signBy(key, 'trial', {})
  await jwtVerify(token, await importJWK(key.publicJwk as JWK, key.alg))
}

/** For a request a fault of AWS KMS is a problem of the moment; here its cause counts. */
const causeOf = (error: unknown): Error => {
  const { cause } = error as { cause?: unknown }
  return error instanceof Problem && cause instanceof Error ? cause : (error as Error)
}
