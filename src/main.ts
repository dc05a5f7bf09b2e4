import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

// Compiled code is kept between starts; without it, reading the program is most of what a start costs. It is kept where
// the program is: in a folder for everybody's temporary files, somebody else could lay code of theirs.
enableCompileCache(join(import.meta.dirname, '..', 'node_modules', '.cache', 'lido'))

const { ConfigError, readConfig } = await import('./config.ts')
const { start } = await import('./start.ts')
const { addresses } = await import('./pages/development.ts')
const { findFirstOperator } = await import('./setup.ts')

const fail = (error: unknown): never => {
  const known = error instanceof ConfigError || (error as { code?: string }).code === 'EADDRINUSE'
  console.error(known ? (error as Error).message : error)
  process.exit(1)
}

const starting = (async () => start(readConfig()))()

let stopping = false
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    if (stopping) return
    stopping = true
    // A start under way is let come to its end: the database it began would outlive it.
    starting.then(({ stop }) => stop()).then(() => process.exit(0), fail)
  })
}

const running = await starting.catch(fail)

// Whoever stops it now has closed the database already.
const first = await findFirstOperator(running.services).catch((error) =>
  stopping ? { is: 'known' as const } : fail(error),
)

if (running.services.config.env === 'production') {
  console.error(`Lido answers at ${running.url}`)
  if (first.is === 'wanted')
    console.error('There is no operator yet. Make the first one: npm run lido -- invite-admin you@example.org')
} else {
  console.error(`\nLido is ready.\n`)
  for (const { address, what } of addresses(running.url)) console.error(`  ${address.padEnd(64)} ${what}`)
  if (first.is === 'invited')
    console.error(`\n  First operator: open this once, until ${first.expiresAt.toISOString()}\n  ${first.link}`)
  console.error('')
}
