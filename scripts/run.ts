import { type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** A program with its arguments, found in node_modules/.bin before anywhere else. */
export interface Job {
  name: string
  command: [string, ...string[]]
  env?: Record<string, string>
}

/** How a job went; `output` is empty where it was printed as it came. */
export interface Outcome {
  name: string
  code: number
  seconds: number
  output: string
}

const root = fileURLToPath(new URL('..', import.meta.url))

// Longer than any stage takes on a busy machine: what hangs has to end some time.
const longest = 20 * 60_000

/** Runs a job and prints what it says as it comes. */
export const runLoudly = (job: Job): Promise<Outcome> => run(job, { stdio: 'inherit' })

/** Runs a job and keeps what it says, so that jobs side by side do not talk over each other. */
export const runQuietly = (job: Job): Promise<Outcome> => run(job, { stdio: ['ignore', 'pipe', 'pipe'] })

/** One line a job: its time and how it ended. */
export const summarise = (outcomes: Outcome[]): string =>
  outcomes
    .map(({ name, code, seconds }) => {
      const ending = code === 0 ? 'passed' : `failed (exit code ${code})`
      return `${name.padEnd(24)}${seconds.toFixed(1).padStart(7)} s  ${ending}`
    })
    .join('\n')

const run = async ({ name, command: [program, ...args], env }: Job, options: SpawnOptions): Promise<Outcome> => {
  const began = performance.now()
  const path = [join(root, 'node_modules', '.bin'), process.env.PATH].join(delimiter)
  const child = spawn(program, args, { ...options, cwd: root, env: { ...process.env, ...env, PATH: path } })
  const output: Buffer[] = []
  child.stdout?.on('data', (chunk: Buffer) => output.push(chunk))
  child.stderr?.on('data', (chunk: Buffer) => output.push(chunk))
  const stop = () => child.kill()
  process.on('SIGTERM', stop)
  const late = setTimeout(stop, longest)
  try {
    const [code] = await once(child, 'close')
    return {
      name,
      code: code ?? 1,
      seconds: (performance.now() - began) / 1000,
      output: Buffer.concat(output).toString(),
    }
  } finally {
    clearTimeout(late)
    process.off('SIGTERM', stop)
  }
}
