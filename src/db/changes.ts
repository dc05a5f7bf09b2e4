import pg from 'pg'

/** Tells this node what any node has changed (`LISTEN`), so that nothing kept in memory outlives its row. */
export interface Changes {
  /** Whether changes are being heard. While they are not, nothing may be kept. */
  listening(): boolean
  /** `workspace:{id}`, `pool:{id}`, or `everything` after a time in which nothing was heard. */
  subscribe(hear: (changed: string) => void): void
  close(): Promise<void>
}

/** Listens on a connection of its own, and comes back within a second or two of the database. */
export const listen = async (url: string, onError: (error: unknown) => void): Promise<Changes> => {
  const hearers: ((changed: string) => void)[] = []
  let client: pg.Client | undefined
  let closed = false
  let timer: NodeJS.Timeout | undefined

  const tell = (changed: string) => {
    for (const hear of hearers) hear(changed)
  }

  const lose = (lost: pg.Client, error?: unknown) => {
    if (client !== lost) return
    client = undefined
    lost.end().catch(() => {})
    if (error) onError(error)
    tell('everything')
    if (!closed) timer = setTimeout(() => void begin().catch(onError), 1000)
  }

  const begin = async (): Promise<void> => {
    const fresh = new pg.Client({
      connectionString: url,
      keepAlive: true,
      connectionTimeoutMillis: 2500,
      application_name: 'lido-changes',
    })
    client = fresh
    fresh.on('error', (error) => lose(fresh, error))
    fresh.on('end', () => lose(fresh))
    fresh.on('notification', ({ payload }) => tell(payload ?? 'everything'))
    try {
      await fresh.connect()
      await fresh.query('listen lido')
      ready.add(fresh)
      tell('everything')
    } catch (error) {
      lose(fresh, error)
    }
  }
  const ready = new WeakSet<pg.Client>()

  await begin()
  return {
    listening: () => client !== undefined && ready.has(client),
    subscribe: (hear) => {
      hearers.push(hear)
    },
    close: async () => {
      closed = true
      clearTimeout(timer)
      const last = client
      client = undefined
      await last?.end().catch(() => {})
    },
  }
}
