import { execFile } from 'node:child_process'

/** What this system lends us to shut a child in, besides what Node and QuickJS do themselves. */
export interface Confinement {
  /** `unshare`: a network and a user namespace of its own, in which there is nothing to reach. */
  network: boolean
  /** `prlimit`: ceilings of memory, files and processes. */
  limits: boolean
}

let found: Promise<Confinement> | undefined

/** Tries both tools, once for the process. They exist on Linux only, and a container may forbid namespaces. */
export const findConfinement = (): Promise<Confinement> => {
  found ??= Promise.all([works('unshare', [...unshareFlags, 'true']), works('prlimit', [...ceilings, 'true'])]).then(
    ([network, limits]) => ({ network, limits }),
  )
  return found
}

/** The command that starts Node shut in. */
export const confine = ({ network, limits }: Confinement, command: string[]): string[] => [
  ...(network ? ['unshare', ...unshareFlags] : []),
  // Without a user namespace of its own, a child would be counted together with all the other processes of this user.
  ...(limits ? ['prlimit', ...ceilings, ...(network ? ['--nproc=64'] : [])] : []),
  ...command,
]

const unshareFlags = ['--map-root-user', '--net']
// Bytes, since prlimit takes no units. Node reserves 1.4 GB for itself, most of which it never touches.
const ceilings = [`--as=${2 ** 31}`, '--nofile=64', '--core=0']

const works = (tool: string, args: string[]): Promise<boolean> =>
  new Promise((resolve) => {
    execFile(tool, args, { env: {}, timeout: 5_000 }, (error) => resolve(error === null))
  })
