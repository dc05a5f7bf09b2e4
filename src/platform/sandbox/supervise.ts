import type { Child } from './child.ts'
import type { Errands } from './errands.ts'
import { limits } from './runner/limits.ts'
import type { Answer, Job, Message, Request, Verdict } from './runner/protocol.ts'

/** What became of a job, and what its script printed. */
export interface Ended {
  verdict: Verdict
  logs: string
}

/** Gives a child its job and ends it, at the latest when its time is over. What it says is not trusted to be right. */
export const supervise = (child: Child, job: Job, errands: Errands | undefined): Promise<Ended> =>
  new Promise((resolve) => {
    let ended: Ended | undefined
    let late = false
    const watch = openWatch(errands ? limits.wallWithFetch : limits.wall, () => {
      late = true
      child.kill()
    })
    const deliveries = openDeliveries((answer) => {
      if (watch.go()) child.send(answer)
    })
    const hear = (message: Message) => {
      if (message.is === 'waiting' && errands) {
        watch.pause()
        deliveries.expect(message.requests, errands)
      } else {
        ended = message.is === 'done' ? readEnded(message) : undefined
        child.kill()
        finish()
      }
    }
    const finish = () => {
      watch.stop()
      resolve(ended ?? { verdict: late ? timeout() : crash(), logs: '' })
    }
    child.listen({ message: hear, end: finish })
    watch.go()
    child.send(job)
  })

const timeout = (): Verdict => ({ ok: false, why: 'timeout', detail: 'It took too long' })
const crash = (): Verdict => ({ ok: false, why: 'crashed', detail: 'Its process ended' })

/** Two clocks: one for the whole, and one that stands still while the child waits for us. */
const openWatch = (wholeMs: number, over: () => void) => {
  const whole = setTimeout(over, wholeMs)
  let left: number = limits.wall
  let since = 0
  let stopped = false
  let timer: NodeJS.Timeout | undefined
  const pause = () => {
    clearTimeout(timer)
    left -= performance.now() - since
  }
  return {
    pause,
    /** False where it is too late to go on. */
    go: () => {
      since = performance.now()
      if (!stopped) timer = setTimeout(over, Math.max(left, 0))
      return !stopped
    },
    stop: () => {
      stopped = true
      clearTimeout(timer)
      clearTimeout(whole)
    },
  }
}

/** Hands over one answer each time the child waits, in the order in which they come. */
const openDeliveries = (deliver: (answer: Answer) => void) => {
  const answers: Answer[] = []
  let wanted = false
  const settle = () => {
    const next = wanted ? answers.shift() : undefined
    if (!next) return
    wanted = false
    deliver(next)
  }
  return {
    expect: (requests: Request[], errands: Errands) => {
      wanted = true
      for (const request of requests)
        errands(request).then((answer) => {
          answers.push(answer)
          settle()
        })
      settle()
    },
  }
}

const reasons = new Set<string>(['threw', 'timeout', 'memory', 'too_large', 'bad_output', 'crashed'])

const readEnded = ({ verdict, logs }: Message & { is: 'done' }): Ended => ({
  verdict: readVerdict(verdict),
  logs: String(logs).slice(0, limits.logs),
})

const readVerdict = (verdict: Verdict): Verdict => {
  if (verdict?.ok === true) return { ok: true, output: String(verdict.output) }
  const { why, detail } = verdict ?? {}
  return reasons.has(why) ? { ok: false, why, detail: String(detail).slice(0, limits.detail) } : crash()
}
