/** What a run may take, on both sides of the pipe: the child keeps to it, and the parent does not trust it to. */
export const limits = {
  /** Bytes of the child's WebAssembly memory, which holds all that a script makes. */
  memory: 64 * 2 ** 20,
  /** Bytes of the interpreter's stack. */
  stack: 256 * 1024,
  /** Milliseconds of processor time. */
  cpu: 100,
  /** Milliseconds by the clock on the wall, without those in which it waits for its fetches. */
  wall: 400,
  /** Milliseconds by the clock on the wall of a run that may fetch, with everything. */
  wallWithFetch: 3_000,
  /** Bytes as JSON. */
  input: 32 * 1024,
  output: 8 * 1024,
  code: 64 * 1024,
  /** Characters that are kept of what it prints. */
  logs: 8 * 1024,
  /** Characters that are kept of what went wrong. */
  detail: 500,
  fetches: 5,
  /** Milliseconds of one fetch. */
  fetchTime: 2_000,
  /** Bytes of the answer to a fetch. */
  fetchBytes: 64 * 1024,
  /** Bytes of the body and of all headers of a request. */
  fetchBody: 32 * 1024,
  /** Bytes that a child may send in all. */
  sent: 2 ** 20,
} as const
