import { enableCompileCache } from 'node:module'

// Compiled code is kept between starts; without it, reading the program is most of what a start costs.
enableCompileCache()

const { ConfigError, readConfig } = await import('./config.ts')
const { start } = await import('./start.ts')
const { addresses } = await import('./pages/development.ts')

const fail = (error: unknown): never => {
  const known = error instanceof ConfigError || (error as { code?: string }).code === 'EADDRINUSE'
  console.error(known ? (error as Error).message : error)
  process.exit(1)
}

const running = await (async () => start(readConfig()))().catch(fail)

let stopping = false
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    if (stopping) return
    stopping = true
    running.stop().then(() => process.exit(0), fail)
  })
}

if (running.services.config.env === 'production') {
  console.error(`Lido answers at ${running.url}`)
} else {
  console.error(`\nLido is ready.\n`)
  for (const { address, what } of addresses(running.url)) console.error(`  ${address.padEnd(64)} ${what}`)
  console.error('')
}
