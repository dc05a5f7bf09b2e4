import { parseArgs } from 'node:util'
import { readConfig } from './config.ts'
import * as workspaces from './directory/workspaces.ts'
import { type Closing, closeAll, type Foundation, openFoundation } from './foundation.ts'
import * as keys from './oidc/keys.ts'
import { systemClock } from './platform/clock.ts'
import { openLog } from './platform/log.ts'
import { openKeyring } from './platform/secrets.ts'

interface Command {
  usage: string
  /** Answers what to tell; throws what went wrong. */
  run(foundation: Foundation, words: string[]): Promise<string>
}

const commands: Record<string, Command> = {
  migrate: {
    usage: 'lido migrate                  bring the database up to date',
    run: async ({ migrated }) => (migrated.length > 0 ? `Applied: ${migrated.join(', ')}` : 'Nothing to apply.'),
  },
  'rotate-keys': {
    usage: 'lido rotate-keys WORKSPACE    make new signing keys; they sign in 15 minutes, when every client knows them',
    run: async ({ config, connection: { db } }, [slug = '']) => {
      const workspace = await workspaces.findBySlug(db, slug)
      if (!workspace) throw new Error(`There is no workspace "${slug}".`)
      await keys.rotate(db, openKeyring(config.secrets), systemClock.now(), workspace.id)
      return `New keys of ${slug} are published.`
    },
  },
}

const usage = (): string => ['Usage:', ...Object.values(commands).map((command) => `  ${command.usage}`)].join('\n')

const main = async (): Promise<number> => {
  const { positionals } = parseArgs({ allowPositionals: true })
  const [name = '', ...words] = positionals
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (!command) {
    console.error(usage())
    return 2
  }
  const closing: Closing = []
  try {
    const config = readConfig()
    const foundation = await openFoundation(config, openLog({ level: 'warn' }), closing)
    console.log(await command.run(foundation, words))
    return 0
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    return 1
  } finally {
    await closeAll(closing)
  }
}

process.exitCode = await main()
