import { eventTypes } from '../../directory/event-types.ts'
import * as events from '../../directory/events.ts'
import { eventsOf } from '../../directory/personal-data.ts'
import type { Words } from '../../platform/words.ts'
import { type AccountSection, type AccountVisit, draw, itemOf, timeOf } from './visit.ts'

/** What happened to an account lately, in plain words. */
export const activity: AccountSection = {
  name: 'activity',
  pages: [{ path: 'activity', get: (visit) => list(visit) }],
}

const most = 50
// What applications do and are refused, each time they come, is nothing that a person did.
const shown = Object.keys(eventTypes).filter(
  (type) => !/^(token|authorization|userinfo|registration|logout)\./.test(type),
)
const everywhere = { workspaces: undefined, pools: undefined }

const list = async (visit: AccountVisit): Promise<void> => {
  const { words, desk, user } = visit
  const page = { limit: most, after: undefined }
  const filter = { ...eventsOf(user.poolId, user.id), types: shown }
  const rows = await events.list(desk.services.db, filter, everywhere, page)
  const items = rows.map((row) =>
    itemOf(tell(words, row), { lines: [{ text: timeOf(visit, row.at), at: row.at.toISOString() }] }),
  )
  draw(visit, 'account/list', {
    heading: words.t('account.activity.title'),
    lead: words.t('account.activity.text'),
    items,
  })
}

/** An event as its owner reads it. Who of the operators it was is for operators to know. */
const tell = ({ t }: Words, { type, data }: events.EventRecord): string => {
  const name = type.replaceAll('.', '_').replace('credential', data.kind === 'device' ? 'device' : 'credential')
  const said = told.has(name) ? t(`account.event.${name}`) : t('account.event.other')
  const by = (data.by as { kind?: string } | undefined)?.kind
  return by === 'operator' || by === 'client' ? t('account.event.by_others', { event: said }) : said
}

const told = new Set([
  'sign_in_succeeded',
  'sign_in_failed',
  'sign_in_refused',
  'user_registered',
  'user_recovered',
  'user_registration_repeated',
  'user_created',
  'user_updated',
  'user_password_set',
  'user_password_change_failed',
  'user_password_reset_sent',
  'user_credential_added',
  'user_credential_removed',
  'user_credential_renamed',
  'user_device_added',
  'user_device_removed',
  'user_sessions_ended',
  'user_linked',
  'user_unlinked',
  'user_data_downloaded',
  'user_deletion_requested',
  'user_deletion_cancelled',
  'consent_given',
  'consent_denied',
  'consent_revoked',
  'refresh_token_reused',
  'code_reused',
  'session_ended',
])
