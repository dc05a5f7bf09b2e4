import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { TestLido } from '../testing.ts'
import { type Ended, runCommand } from './run.ts'

const cli = fileURLToPath(new URL('../cli.ts', import.meta.url))

/** What a command wrote, and how it ended. */
interface Ran {
  code: number
  out: string
  err: string
}

/** Runs `lido` in a process of its own, with these variables and no others of Lido's. */
export const run = (env: Record<string, string>, words: string[]): Promise<Ran> =>
  new Promise((resolve) => {
    const { PATH, NODE_COMPILE_CACHE } = process.env
    const own = { PATH, NODE_COMPILE_CACHE, ...env }
    execFile(process.execPath, [cli, ...words], { env: own, timeout: 30_000 }, (error, out, err) => {
      resolve({ code: error ? Number(error.code ?? 99) : 0, out, err })
    })
  })

/** The same without the second that a process takes to start, for tests of what a command does. */
export const runHere = (env: Record<string, string>, words: string[]): Promise<Ended> => runCommand(words, env)

/** Runs `lido` with what a server under test is configured with. */
export const runLido = ({ services: { config } }: Pick<TestLido, 'services'>, ...words: string[]): Promise<Ran> =>
  run(envOf(config), words)

const envOf = ({ databaseUrl = '', publicUrl, secrets }: TestLido['services']['config']): Record<string, string> => ({
  NODE_ENV: 'test',
  DATABASE_URL: databaseUrl,
  PUBLIC_URL: publicUrl,
  SECRETS: secrets.join(','),
})
