/** What main.ts asks of a server under measurement, over the channel that it was spawned with. */
export type Question =
  | { ask: 'usage' }
  /** Real argon2id, or a comparison that costs nothing, so that everything else can be seen. */
  | { ask: 'hash'; on: boolean }
  /** As many verifies as fit, one after the other. */
  | { ask: 'verifies'; milliseconds: number }
  /** Collects garbage. */
  | { ask: 'collect' }
  /** The texts of the statements since this was asked last; from the first time on they are kept. */
  | { ask: 'texts' }
  | { ask: 'profile'; file: string | undefined }

/** Totals since the process began; `cpu` is in milliseconds, `rss` in bytes. */
export interface Usage {
  cpu: number
  rss: number
  statements: number
}

export interface Verifies {
  perSecond: number
  cpuEach: number
}

export interface Answers {
  usage: Usage
  hash: true
  verifies: Verifies
  collect: true
  texts: string[]
  profile: true
}

/** Answers what the parent asks, one question after the other, and tells it that the server is ready. */
export const answerParent = (answer: (question: Question) => Promise<Answers[keyof Answers]>): void => {
  let last: Promise<unknown> = Promise.resolve()
  process.on('message', (question: Question) => {
    last = last.then(async () => {
      process.send?.(await answer(question))
    })
  })
  process.on('disconnect', () => process.exit(0))
  process.send?.('ready')
}

export const usageOf = (statements: number): Usage => {
  const { user, system } = process.cpuUsage()
  return { cpu: (user + system) / 1000, rss: process.memoryUsage.rss(), statements }
}
