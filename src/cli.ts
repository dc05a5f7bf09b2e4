import { apply } from './commands/apply.ts'
import { type Command, UsageError } from './commands/command.ts'
import { doctor } from './commands/doctor.ts'
import { exportUsers } from './commands/export.ts'
import { importUsers } from './commands/import.ts'
import { inviteAdmin } from './commands/invite-admin.ts'
import { migrate } from './commands/migrate.ts'
import { rotateKeys } from './commands/rotate-keys.ts'
import { readConfig, readVariable } from './config.ts'

const commands: Record<string, Command> = {
  apply: apply(readVariable),
  doctor,
  export: exportUsers,
  import: importUsers,
  'invite-admin': inviteAdmin,
  migrate,
  'rotate-keys': rotateKeys,
}

const usage = (): string => ['Usage:', ...Object.values(commands).map((command) => `  ${command.usage}`)].join('\n')

/** Answers the exit code: 0, 1 where something is wrong, 2 where the words make no sense. */
const main = async ([name = '', ...words]: string[]): Promise<number> => {
  try {
    const command = Object.hasOwn(commands, name) ? commands[name] : undefined
    if (!command) throw new UsageError(name ? `There is no command "${name}".` : 'Name a command.')
    const { text, failed } = await command.run(words, readConfig)
    console.log(text)
    return failed ? 1 : 0
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    if (!(error instanceof UsageError)) return 1
    console.error(`\n${usage()}`)
    return 2
  }
}

process.exitCode = await main(process.argv.slice(2))
