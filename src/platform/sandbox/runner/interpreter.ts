import type { QuickJSContext, QuickJSHandle, QuickJSWASMModule } from 'quickjs-emscripten'
import { limits } from './limits.ts'
import { type Host, prelude, type Stage } from './prelude.ts'
import type { Job } from './protocol.ts'

/** QuickJS with one script in it. Every method may throw where the memory is full. */
export interface Interpreter {
  /** Evaluates the script and calls its function. */
  start(job: Job): void
  settle(answer: string): void
  /** Does what is due; false once nothing is. */
  pump(): boolean
  /** Whether the processor time is used up. */
  spent(): boolean
}

/** Makes one whose script can call the host only through the prelude. */
export const openInterpreter = (quickjs: QuickJSWASMModule, host: Host): Interpreter => {
  const runtime = quickjs.newRuntime()
  runtime.setMemoryLimit(limits.memory / 2)
  runtime.setMaxStackSize(limits.stack)
  const budget = openBudget()
  runtime.setInterruptHandler(budget.check)
  const context = runtime.newContext()
  const stage = openStage(context, host)
  const failed = (error: QuickJSHandle) => stage('failed', error)
  const evaluate = (code: string) => {
    const result = context.evalCode(code, 'script.js')
    if (!result.error) return result.value
    failed(result.error)
    return undefined
  }
  return {
    start: ({ code, call, input, fetch }) => {
      budget.begin()
      if (fetch) stage('allowFetch')
      if (!evaluate(code)) return
      const called = evaluate(
        `if (typeof ${call} !== 'function') throw new TypeError('${call} is no function'); ${call}`,
      )
      if (called) stage('start', called, context.newString(input))
    },
    settle: (answer) => stage('settle', context.newString(answer)),
    pump: () => {
      const done = runtime.executePendingJobs(jobsAtOnce)
      if (done.error) failed(done.error)
      return runtime.hasPendingJob()
    },
    spent: budget.spent,
  }
}

// A chain of promises that goes on for ever must not keep the budget from being looked at.
const jobsAtOnce = 1_000

const openBudget = () => {
  let began = process.threadCpuUsage()
  let spent = false
  const check = (): boolean => {
    const { user, system } = process.threadCpuUsage(began)
    spent ||= user + system > limits.cpu * 1_000
    return spent
  }
  const begin = () => {
    began = process.threadCpuUsage()
  }
  return { begin, check, spent: () => spent || check() }
}

/** The prelude, at work in this context. */
const openStage = (context: QuickJSContext, host: Host) => {
  const most = JSON.stringify({ output: limits.output, logs: limits.logs })
  const made = context.unwrapResult(
    context.evalCode(`'use strict'; (host) => (${prelude})(host, ${most})`, 'prelude.js'),
  )
  const stage = context.unwrapResult(context.callFunction(made, context.undefined, hostOf(context, host)))
  return (method: keyof Stage, ...args: QuickJSHandle[]): void => {
    context.callFunction(context.getProp(stage, method), context.undefined, ...args)
  }
}

const hostOf = (context: QuickJSContext, host: Host): QuickJSHandle => {
  const object = context.newObject()
  for (const name of ['log', 'done', 'failed', 'ask'] as const) {
    const call = host[name] as (...texts: string[]) => void
    const made = context.newFunction(name, (...args) => call(...args.map((one) => context.getString(one))))
    context.setProp(object, name, made)
  }
  return object
}
