import { type Command, onFoundation } from './command.ts'

export const migrate: Command = {
  usage: 'lido migrate                          bring the database up to date',
  run: (_words, read) =>
    onFoundation(read(), async ({ migrated }) => ({
      text: migrated.length > 0 ? `Applied: ${migrated.join(', ')}` : 'Nothing to apply.',
    })),
}
