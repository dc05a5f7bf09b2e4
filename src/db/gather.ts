interface Waiting<Job, Answer> {
  job: Job
  keys: readonly string[]
  since: number
  resolve(answer: Answer): void
  reject(error: unknown): void
}

interface GatherOptions<Job, Answer> {
  /** How many runs may be under way at once; what arrives meanwhile waits and goes together. */
  lanes: number
  /** Milliseconds after which a run counts as slow, and the next lane is opened beside it; 5 unless told. */
  patience?: number
  /** The most jobs of one run. */
  most: number
  /** Jobs that share a key never go in one run; leave it out where they may. */
  keys?(job: Job): readonly string[]
  /** Answers the jobs in order; an `Error` among the answers fails that one job, a rejection all of them. */
  run(jobs: Job[]): Promise<(Answer | Error)[]>
}

/** Milliseconds for which a job waits behind a run that then fails, and still has a run of its own. */
const longestWait = 200

/**
 * Gathers concurrent jobs into few runs, as a data loader does for reads and a log's group commit for writes.
 * A lone job runs within its turn of the event loop; while a run is under way jobs wait for company, as one large run
 * costs far less than two small ones, but not for one that is slow.
 */
export const gather = <Job, Answer>({ lanes, patience = 5, most, keys, run }: GatherOptions<Job, Answer>) => {
  let waiting: Waiting<Job, Answer>[] = []
  let busy = 0
  let scheduled = false
  let slowAt = 0
  let looksAgain = false

  const schedule = () => {
    if (scheduled) return
    scheduled = true
    // Not a microtask: every request that came in one turn of the event loop goes along.
    setImmediate(() => {
      scheduled = false
      advance()
    })
  }

  const advance = () => {
    if (waiting.length === 0 || busy === lanes) return
    if (busy === 0 || performance.now() >= slowAt) void start(take())
    if (waiting.length > 0) lookAgain()
  }

  const lookAgain = () => {
    if (looksAgain) return
    looksAgain = true
    setTimeout(() => {
      looksAgain = false
      advance()
    }, patience)
  }

  const take = (): Waiting<Job, Answer>[] => {
    const taken: Waiting<Job, Answer>[] = []
    const left: Waiting<Job, Answer>[] = []
    const used = new Set<string>()
    for (const one of waiting) {
      const fits = taken.length < most && !one.keys.some((key) => used.has(key))
      // A job behind one that shares its key keeps its place in the queue, so order by key holds.
      for (const key of one.keys) used.add(key)
      ;(fits ? taken : left).push(one)
    }
    waiting = left
    return taken
  }

  /** Whoever waited for a run that failed late fails with it: two waits in a row are longer than anybody may wait. */
  const takeLate = (): Waiting<Job, Answer>[] => {
    const late = performance.now() - longestWait
    const gone = waiting.filter(({ since }) => since < late)
    waiting = waiting.filter(({ since }) => since >= late)
    return gone
  }

  const start = async (batch: Waiting<Job, Answer>[]) => {
    busy += 1
    slowAt = performance.now() + patience
    try {
      const answers = await run(batch.map(({ job }) => job))
      batch.forEach((one, index) => {
        const answer = answers[index] as Answer | Error
        if (answer instanceof Error) one.reject(answer)
        else one.resolve(answer)
      })
    } catch (error) {
      for (const one of [...batch, ...takeLate()]) one.reject(error)
    } finally {
      busy -= 1
      if (waiting.length > 0) schedule()
    }
  }

  return (job: Job): Promise<Answer> =>
    new Promise((resolve, reject) => {
      waiting.push({ job, keys: keys?.(job) ?? [], since: performance.now(), resolve, reject })
      schedule()
    })
}
