import type { Config } from '../config.ts'
import { type Closing, closeAll, type Foundation, openFoundation } from '../foundation.ts'
import { openLog } from '../platform/log.ts'

/** One word of `lido`. */
export interface Command {
  usage: string
  /** Works on the words after its name. Throws what went wrong, a UsageError where the words make no sense. */
  run(words: string[], read: () => Config): Promise<Told>
}

/** What a command says, and whether it found something wrong. */
export interface Told {
  text: string
  failed?: boolean
}

/** The words after a command make no sense. */
export class UsageError extends Error {}

/** Works on the configured database, brought up to date, and closes it again. */
export const onFoundation = async <Result>(
  config: Config,
  work: (foundation: Foundation) => Promise<Result>,
): Promise<Result> => {
  const closing: Closing = []
  try {
    return await work(await openFoundation(config, openLog({ level: 'warn' }), closing))
  } finally {
    await closeAll(closing)
  }
}
