import { type Job, runQuietly, summarise } from './run.ts'

const checks: Job[] = [
  { name: 'types', command: ['tsc', '--noEmit'] },
  { name: 'format and lint', command: ['biome', 'check', '--error-on-warnings'] },
  { name: 'rooms', command: ['node', '--test', 'src/rooms.test.ts'] },
  { name: 'unused code', command: ['knip', '--no-config-hints'] },
]

const outcomes = await Promise.all(checks.map(runQuietly))
const failed = outcomes.filter(({ code }) => code !== 0)
for (const { name, output } of failed) console.error(`\n${name}\n\n${output.trimEnd()}\n`)
console.log(summarise(outcomes))
process.exitCode = failed[0]?.code ?? 0
