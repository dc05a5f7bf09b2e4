import { parseArgs } from 'node:util'
import { z } from 'zod'
import { type Identifier, readIdentifier } from '../directory/identifiers.ts'
import * as operatorInvitations from '../directory/operator-invitations.ts'
import type { OperatorRole } from '../directory/operators.ts'
import { systemClock } from '../platform/clock.ts'
import { openKeyring } from '../platform/secrets.ts'
import { ensureAdministration } from '../setup.ts'
import { type Command, onFoundation, UsageError } from './command.ts'

export const inviteAdmin: Command = {
  usage: 'lido invite-admin EMAIL [--role ROLE]  invite an operator: owner, admin, helpdesk or viewer',
  run: async (words, read) => {
    const wanted = readWords(words)
    return onFoundation(read(), async ({ config, connection: { db } }) => {
      const tools = { config, db, clock: systemClock, keyring: openKeyring(config.secrets) }
      await ensureAdministration(tools)
      // Development keeps mails in its inbox; in production, one without a server could never be sent.
      const silent = config.env === 'production' && config.smtpUrl === undefined
      const { identifier, role, link, expiresAt } = await db
        .transaction()
        .execute((trx) => operatorInvitations.invite(trx, systemClock.now(), tools, { ...wanted, silent }))
      const mail = silent ? 'Nothing is mailed: SMTP_URL is not set.' : 'It is mailed once a server runs.'
      const text = `${identifier.value} is invited as ${role}. The link is good once, until ${expiresAt.toISOString()}:`
      return { text: `${text}\n\n  ${link}\n\n${mail}` }
    })
  },
}

const roles = z.enum(['owner', 'admin', 'helpdesk', 'viewer']).optional()

const readWords = (words: string[]): { identifier: Identifier; role: OperatorRole | undefined } => {
  const { positionals, values } = parseWords(words)
  const [email, ...rest] = positionals
  const identifier = rest.length === 0 ? readIdentifier(email ?? '', ['email']) : undefined
  if (!identifier) throw new UsageError('Name one email address.')
  const role = roles.safeParse(values.role)
  if (!role.success) throw new UsageError('The role is one of owner, admin, helpdesk, viewer.')
  return { identifier, role: role.data }
}

const parseWords = (args: string[]) => {
  try {
    return parseArgs({ args, allowPositionals: true, options: { role: { type: 'string' } } })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}
