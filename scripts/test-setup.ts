import { startTestServer } from '../src/db/testing.ts'

let stop: () => Promise<void> = async () => {}
let stopping: Promise<void> | undefined

/** For `node --test --test-global-setup`: one PostgreSQL for the whole run; the test processes inherit its address. */
export const globalSetup = async (): Promise<void> => {
  if (process.env.LIDO_TEST_PG_URL) return
  const server = await startTestServer()
  stop = server.stop
  process.env.LIDO_TEST_PG_URL = server.url
}

/** Called twice where the run is interrupted. */
export const globalTeardown = (): Promise<void> => {
  stopping ??= stop()
  return stopping
}
