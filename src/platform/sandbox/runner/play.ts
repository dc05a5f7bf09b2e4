import type { QuickJSWASMModule } from 'quickjs-emscripten'
import { type Interpreter, openInterpreter } from './interpreter.ts'
import { limits } from './limits.ts'
import { wasFull } from './memory.ts'
import type { Host } from './prelude.ts'
import type { Answer, Job, Message, Request, Verdict, Why } from './protocol.ts'

/** Sends what a script asks for, and waits for one answer. */
export type Ask = (requests: Request[]) => Answer

/** Makes everything ready for a job, and runs it to its end, whatever its script does, as long as the process lives. */
export const rehearse = (quickjs: QuickJSWASMModule): ((job: Job, ask: Ask) => Message) => {
  const scene = openScene()
  const interpreter = openInterpreter(quickjs, scene.host)
  return (job, ask) => {
    const verdict = play(interpreter, scene, job, ask)
    return { is: 'done', verdict, logs: scene.logs() }
  }
}

const play = (interpreter: Interpreter, scene: Scene, job: Job, ask: Ask): Verdict => {
  try {
    interpreter.start(job)
    return act(interpreter, scene, ask)
  } catch (error) {
    return failure(wasFull() ? 'memory' : 'crashed', error instanceof Error ? error.message : 'It failed')
  }
}

const act = (interpreter: Interpreter, scene: Scene, ask: Ask): Verdict => {
  for (;;) {
    const verdict = scene.verdict()
    if (verdict?.ok) return verdict
    if (interpreter.spent()) return failure('timeout', `It used up its ${limits.cpu} ms of processor time`)
    if (verdict) return verdict
    if (interpreter.pump()) continue
    if (scene.verdict() || interpreter.spent()) continue
    const asked = scene.asked()
    if (!asked) return failure('threw', 'It waits for something that never comes')
    interpreter.settle(JSON.stringify(scene.answered(ask(asked))))
  }
}

const failure = (why: Why, detail: string): Verdict => ({ ok: false, why, detail: detail.slice(0, limits.detail) })

type Scene = ReturnType<typeof openScene>

/** What a run has come to so far. */
const openScene = () => {
  let verdict: Verdict | undefined
  let logs = ''
  let open = 0
  let requests: Request[] = []
  const fail = (why: Why, detail: string) => {
    // An error that could not be made for want of memory comes as null.
    verdict ??= failure(why === 'threw' && wasFull() ? 'memory' : why, detail)
  }
  const host: Host = {
    log: (text) => {
      if (logs.length < limits.logs) logs = `${logs}${text}\n`.slice(0, limits.logs)
    },
    done: (output) => {
      verdict ??= { ok: true, output }
    },
    failed: (why, detail) => fail(why as Why, detail),
    ask: (request) => {
      open += 1
      requests.push(JSON.parse(request))
    },
  }
  return {
    host,
    verdict: () => verdict,
    logs: () => logs,
    /** What was asked for since the last time; undefined where no answer is to be expected. */
    asked: (): Request[] | undefined => {
      const asked = requests
      requests = []
      return open > 0 ? asked : undefined
    },
    answered: (answer: Answer): Answer => {
      open -= 1
      return answer
    },
  }
}
