import { type ChildProcess, fork } from 'node:child_process'
import { glob, stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { globalSetup, globalTeardown } from './test-setup.ts'
import type { Played } from './test-worker.ts'

/**
 * Plays test files in a few processes, each of which plays many: most of what a file costs is loading the program. Takes
 * patterns as arguments, by default those of all there are.
 */
const main = async (): Promise<void> => {
  const patterns = process.argv.slice(2)
  const files = await inOrder(patterns.length > 0 ? patterns : ['src/**/*.test.ts', 'bench/**/*.test.ts'])
  await globalSetup()
  try {
    const played = await playAll(files)
    console.log(`\n${summarise(played)}`)
    process.exitCode = played.length === files.length && played.every(({ passed }) => passed) ? 0 : 1
  } finally {
    await globalTeardown()
  }
}

interface PlayedFile extends Played {
  file: string
  seconds: number
}

/** The longest first, as far as their size tells, so that no process ends long before the others. */
const inOrder = async (patterns: string[]): Promise<string[]> => {
  const found = await Array.fromAsync(glob(patterns), async (file) => ({ file, size: (await stat(file)).size }))
  return found.sort((one, other) => other.size - one.size).map(({ file }) => file)
}

// No more than there are cores: some tests compare how long answers take.
const atOnce = Math.max(2, availableParallelism())

/** Files that look at what a process keeps for all its connections: each is played by a process that has played nothing. */
const alone = new Set(['src/db/connect.test.ts'])

const playAll = async (files: string[]): Promise<PlayedFile[]> => {
  const waiting = [...files]
  const done: PlayedFile[] = []
  const work = async () => {
    let worker: Worker | undefined
    for (let file = waiting.shift(); file; file = waiting.shift()) {
      if (alone.has(file)) {
        worker?.end()
        worker = undefined
      }
      worker ??= openWorker()
      const played = await worker.play(file)
      done.push(played)
      console.log(tell(played))
      if (worker.ended()) worker = undefined
    }
    worker?.end()
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  return done
}

interface Worker {
  play(file: string): Promise<PlayedFile>
  /** Whether it went down, as it does where a file hangs or fails outside of its tests. */
  ended(): boolean
  end(): void
}

/** More than the runner's own patience with a file. What hangs past that is cut off, with its process. */
const patience = 300_000

const openWorker = (): Worker => {
  const child = fork(fileURLToPath(new URL('test-worker.ts', import.meta.url)), { silent: true })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => {
      said += chunk
    })
  let ended = false
  const play = async (file: string): Promise<PlayedFile> => {
    said = ''
    const began = performance.now()
    const played = await answerTo(child, file)
    ended = played.lost
    return { ...played, file, report: `${played.report}\n${said}`, seconds: (performance.now() - began) / 1000 }
  }
  return { play, ended: () => ended, end: () => child.disconnect() }
}

/** Resolves also where the process ends, or has to be ended, instead of answering. */
const answerTo = (child: ChildProcess, file: string): Promise<Played & { lost: boolean }> =>
  new Promise((resolve) => {
    const lost = (why: string) => settle({ passed: false, tests: 0, unfinished: 1, report: why }, true)
    const late = setTimeout(() => {
      child.kill('SIGKILL')
      lost(`It was not over after ${patience / 1000} s: something hangs, or was left open.`)
    }, patience)
    const ended = (code: number | null) => lost(`Its process ended by itself (${code}).`)
    const answered = (played: Played) => settle(played, false)
    const settle = (played: Played, lost: boolean) => {
      clearTimeout(late)
      child.off('close', ended)
      child.off('message', answered)
      resolve({ ...played, lost })
    }
    child.once('close', ended)
    child.once('message', answered)
    child.send(file)
  })

/** One line, and all that its tests have to say where it has not passed. */
const tell = ({ passed, file, tests, seconds, report }: PlayedFile): string => {
  const line = `${passed ? '✔' : '✖'} ${file} (${tests} tests, ${seconds.toFixed(1)} s)`
  return passed ? line : `\n${line}\n\n${report.trim()}\n`
}

const summarise = (played: PlayedFile[]): string => {
  const failed = played.filter(({ passed }) => !passed).map(({ file }) => `✖ ${file}`)
  const sum = (count: 'tests' | 'unfinished') => played.reduce((all, one) => all + one[count], 0)
  const counts = `${sum('tests')} tests in ${played.length} files, ${sum('unfinished')} of them not run to their end`
  return [...failed, `${counts}, ${failed.length} files failed`].join('\n')
}

// Whoever interrupts a run leaves no database behind.
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, async () => {
    await globalTeardown()
    process.exit(1)
  })

await main()
