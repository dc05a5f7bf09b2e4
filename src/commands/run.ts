import { readConfig, readVariable } from '../config.ts'
import { apply } from './apply.ts'
import { type Command, UsageError } from './command.ts'
import { doctor } from './doctor.ts'
import { exportUsers } from './export.ts'
import { importUsers } from './import.ts'
import { inviteAdmin } from './invite-admin.ts'
import { migrate } from './migrate.ts'
import { rotateKeys } from './rotate-keys.ts'

type Environment = Record<string, string | undefined>

/** What a command wrote, and how it ended: 0, 1 where something is wrong, 2 where the words make no sense. */
export interface Ended {
  code: 0 | 1 | 2
  out: string
  err: string
}

/** Runs `lido` with these words, configured by these variables, the process's own unless told. */
export const runCommand = async ([name = '', ...words]: string[], env?: Environment): Promise<Ended> => {
  const commands = commandsIn(env)
  try {
    const command = Object.hasOwn(commands, name) ? commands[name] : undefined
    if (!command) throw new UsageError(name ? `There is no command "${name}".` : 'Name a command.')
    const { text, failed } = await command.run(words, () => readConfig(env))
    return { code: failed ? 1 : 0, out: `${text}\n`, err: '' }
  } catch (error) {
    const message = `${error instanceof Error ? error.message : String(error)}\n`
    if (!(error instanceof UsageError)) return { code: 1, out: '', err: message }
    return { code: 2, out: '', err: `${message}\n${usageOf(commands)}\n` }
  }
}

const commandsIn = (env: Environment | undefined): Record<string, Command> => ({
  apply: apply((name) => readVariable(name, env)),
  doctor,
  export: exportUsers,
  import: importUsers,
  'invite-admin': inviteAdmin,
  migrate,
  'rotate-keys': rotateKeys,
})

const usageOf = (commands: Record<string, Command>): string =>
  ['Usage:', ...Object.values(commands).map((command) => `  ${command.usage}`)].join('\n')
