interface Waiting<Job, Answer> {
  job: Job
  keys: readonly string[]
  resolve(answer: Answer): void
  reject(error: unknown): void
}

interface GatherOptions<Job, Answer> {
  /** How many runs may be under way at once; what arrives meanwhile waits and goes together. */
  lanes: number
  /** The most jobs of one run. */
  most: number
  /** Jobs that share a key never go in one run; leave it out where they may. */
  keys?(job: Job): readonly string[]
  /** Answers the jobs in order; an `Error` among the answers fails that one job, a rejection all of them. */
  run(jobs: Job[]): Promise<(Answer | Error)[]>
}

/**
 * Gathers concurrent jobs into few runs, as a data loader does for reads and a log's group commit for writes.
 * A lone job runs at once; only while every lane is busy do jobs wait for company.
 */
export const gather = <Job, Answer>({ lanes, most, keys, run }: GatherOptions<Job, Answer>) => {
  let waiting: Waiting<Job, Answer>[] = []
  let busy = 0
  let scheduled = false

  const schedule = () => {
    if (scheduled) return
    scheduled = true
    queueMicrotask(() => {
      scheduled = false
      while (busy < lanes && waiting.length > 0) void start(take())
    })
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

  const start = async (batch: Waiting<Job, Answer>[]) => {
    busy += 1
    try {
      const answers = await run(batch.map(({ job }) => job))
      batch.forEach((one, index) => {
        const answer = answers[index] as Answer | Error
        if (answer instanceof Error) one.reject(answer)
        else one.resolve(answer)
      })
    } catch (error) {
      for (const one of batch) one.reject(error)
    } finally {
      busy -= 1
      if (waiting.length > 0) schedule()
    }
  }

  return (job: Job): Promise<Answer> =>
    new Promise((resolve, reject) => {
      waiting.push({ job, keys: keys?.(job) ?? [], resolve, reject })
      schedule()
    })
}
