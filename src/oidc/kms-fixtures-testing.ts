import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Clock, fixedClock } from '../platform/clock.ts'
import { type KmsDouble, openKmsDouble } from '../platform/kms-testing.ts'
import { type TestLido, testLido } from '../testing.ts'
import { ask, eventually, makePool, makeWorkspace, type TestPool, type TestWorkspace } from './fixtures-testing.ts'
import { keyStoreOf } from './key-store.ts'
import type { KeyRecord } from './keys.ts'

/** What is in a workspace's folder, by the names of files; undefined takes one away. */
export type Files = Record<string, string | undefined>

/** The program with a KEYS_DIR and an AWS KMS on loopback, and one person. */
export interface KmsLido {
  lido: TestLido
  double: KmsDouble
  folder: string
  clock: Clock
  /** Makes a workspace whose keys are these files, and always were. */
  workspace(slug: string, files: Files): Promise<TestWorkspace>
  /** Changes them, and waits until they are read again. */
  write(slug: string, files: Files): Promise<void>
  /** Lets so much time go by that every list is read again. */
  later(): Promise<void>
  listed(workspace: TestWorkspace): Promise<KeyRecord[]>
  /** Waits until AWS KMS is asked again. */
  rested(workspace: TestWorkspace): Promise<void>
  /** A private key in PEM, a new one unless it is named. */
  pem(name?: string): string
  stop(): Promise<void>
}

export const openKmsLido = async (): Promise<KmsLido> => {
  const clock = fixedClock(new Date())
  const [double, folder] = [await openKmsDouble(), await mkdtemp(join(tmpdir(), 'lido-kms-'))]
  const env = { KEYS_DIR: folder, KMS_URL: double.address, EGRESS_ALLOW: '127.0.0.1' }
  const lido = await testLido(env, { clock })
  const pool: TestPool = await makePool(lido, 'p1')
  await pool.user('mike@example.org')
  const made: string[] = []
  const fill = async (slug: string, files: Files) => {
    await mkdir(join(folder, slug), { recursive: true })
    for (const [name, text] of Object.entries(files)) {
      const file = join(folder, slug, name)
      await (text === undefined ? rm(file) : writeFile(file, text))
    }
  }
  const later = async () => clock.advance(301_000)
  return {
    lido,
    double,
    folder,
    clock,
    later,
    async workspace(slug, files) {
      await fill(slug, files)
      const made = await makeWorkspace(lido, slug, { pools: [pool] })
      await lido.services.db.deleteFrom('signingKeys').where('workspaceId', '=', made.id).execute()
      return made
    },
    async write(slug, files) {
      await fill(slug, files)
      await later()
    },
    listed: async (workspace) =>
      (await keyStoreOf(lido.services, workspace)).list(clock.now(), { limit: 100, after: undefined }),
    rested: ({ slug }) =>
      eventually(5_000, async () => {
        const key = (await readFile(join(folder, slug, 'keys.kms'), 'utf8')).split('\n')[0] ?? ''
        await lido.services.kms.sign(key, { algorithm: 'RSASSA_PKCS1_V1_5_SHA_256', type: 'DIGEST' }, Buffer.alloc(32))
        assert.equal((await ask(`${lido.url}/w/${slug}/jwks`)).status, 200)
      }),
    pem(name) {
      if (name === undefined || made.length === 0) {
        const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
        made.push(String(privateKey.export({ type: 'pkcs8', format: 'pem' })))
      }
      return made.at(-1) ?? ''
    },
    async stop() {
      await lido.stop()
      await double.close()
      await rm(folder, { recursive: true })
    },
  }
}
