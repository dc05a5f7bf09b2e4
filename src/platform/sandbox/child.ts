import { spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Confinement, confine } from './confinement.ts'
import { frameOf, openFrames } from './frames.ts'
import type { Message } from './runner/protocol.ts'
import { strippedRunner } from './stripped.ts'

/** A process that waits for its one job. */
export interface Child {
  pid: number | undefined
  /** True once it can take a job; false where it ended before. */
  ready: Promise<boolean>
  /** Resolves when it has ended. */
  gone: Promise<void>
  lives(): boolean
  /** Keeps our process from ending while this one is needed; a waiting one does not. */
  hold(): void
  send(message: unknown): void
  /** Tells of what it sends from now on, and of its end. */
  listen(ears: { message(message: Message): void; end(): void }): void
  kill(): void
}

/** Starts one: without an environment, and allowed to read nothing but itself and QuickJS. */
export const startChild = (confinement: Confinement): Child => {
  const [command = '', ...args] = confine(confinement, nodeFor([join(strippedRunner(), 'main.mjs')]))
  const child = spawn(command, args, { env: {}, cwd: '/', stdio: ['ignore', 'ignore', 'ignore', 'pipe'] })
  const pipe = child.stdio[3] as Socket
  const kill = () => void child.kill('SIGKILL')
  let ears: Parameters<Child['listen']>[0] | undefined
  const gone = new Promise<void>((resolve) => {
    child.once('close', () => resolve())
    child.once('error', () => resolve())
  })
  const ready = new Promise<boolean>((resolve) => {
    const take = openFrames((message) => {
      if ((message as Message).is === 'ready') resolve(true)
      else ears?.message(message as Message)
    })
    pipe.on('data', (chunk: Buffer) => attempt(() => take(chunk), kill))
    gone.then(() => resolve(false))
  })
  // A child that is gone is told of by `gone`.
  pipe.on('error', () => {})
  child.unref()
  pipe.unref()
  return {
    pid: child.pid,
    ready,
    gone,
    lives: () => child.exitCode === null && child.signalCode === null,
    kill,
    send: (message) => void pipe.write(frameOf(message)),
    listen: (wanted) => {
      ears = wanted
      gone.then(wanted.end)
    },
    hold: () => {
      child.ref()
      pipe.ref()
    },
  }
}

const attempt = (act: () => void, otherwise: () => void): void => {
  try {
    act()
  } catch {
    otherwise()
  }
}

const packages = [
  'quickjs-emscripten',
  'quickjs-emscripten-core',
  '@jitl/quickjs-ffi-types',
  '@jitl/quickjs-wasmfile-release-sync',
  '@jitl/quickjs-wasmfile-release-asyncify',
  '@jitl/quickjs-wasmfile-debug-sync',
  '@jitl/quickjs-wasmfile-debug-asyncify',
]

/** The Node that runs us, allowed as little as a child is, at these arguments. */
export const nodeFor = (args: string[]): string[] => [
  process.execPath,
  '--permission',
  `--allow-fs-read=${strippedRunner()}/`,
  ...packages.map((name) => `--allow-fs-read=${folderOf(name)}/`),
  // Guard pages would take more address space than a child is given.
  '--disable-wasm-trap-handler',
  '--max-old-space-size=64',
  '--no-warnings',
  ...args,
]

/** Where npm has put a package: beside quickjs-emscripten. */
const folderOf = (name: string): string => {
  const entry = fileURLToPath(import.meta.resolve('quickjs-emscripten'))
  const root = entry.slice(0, entry.lastIndexOf(join('quickjs-emscripten', 'dist')))
  return join(root, name)
}
