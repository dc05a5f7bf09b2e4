import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findChromium } from './chromium.ts'
import { type Outcome, runLoudly, summarise } from './run.ts'

// First of all, so that a machine without a browser is told at once.
const chromium = findChromium()

const check = () => runLoudly({ name: 'check', command: ['node', 'scripts/check.ts'] })

const units = () => runLoudly({ name: 'unit and HTTP tests', command: ['node', 'scripts/unit-tests.ts'] })

// Pictures and traces go to a folder of their own: Playwright empties it first, also under the feet of another run.
const browser = async (): Promise<Outcome> => {
  const folder = await mkdtemp(join(tmpdir(), 'lido-e2e-'))
  const outcome = await runLoudly({
    name: 'browser tests',
    command: ['playwright', 'test', '--config=e2e/playwright.config.ts', '--reporter=list', `--output=${folder}`],
    env: { CHROMIUM_PATH: chromium },
  })
  if (outcome.code === 0) await rm(folder, { recursive: true, force: true })
  else console.error(`Pictures and traces are in ${folder}`)
  return outcome
}

const outcomes: Outcome[] = []
for (const stage of [check, units, browser]) {
  outcomes.push(await stage())
  if (outcomes.at(-1)?.code !== 0) break
}
console.log(`\n${summarise(outcomes)}`)
process.exitCode = outcomes.at(-1)?.code ?? 1
