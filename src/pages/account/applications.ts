import { issuerOf } from '../../directory/address.ts'
import * as records from '../../directory/applications.ts'
import { Problem } from '../../platform/problem.ts'
import { changeOwn } from '../../signin/own-change.ts'
import { thingsIn } from '../scopes.ts'
import {
  type AccountSection,
  type AccountVisit,
  type Answer,
  buttonOf,
  byOf,
  draw,
  itemOf,
  seeOther,
  timeOf,
} from './visit.ts'

/** What may know or do something in a person's name, and how that ends. */
export const applications: AccountSection = {
  name: 'applications',
  pages: [{ path: 'applications', get: (visit) => list(visit), post: (visit, answer) => revoke(visit, answer) }],
}

const ownerOf = ({ issuer, user }: AccountVisit) => ({
  workspaceId: issuer.workspace.id,
  poolId: user.poolId,
  userId: user.id,
})

const list = async (visit: AccountVisit): Promise<void> => {
  const { words, desk, at } = visit
  const rows = await records.list(desk.services.db, at, ownerOf(visit))
  const items = rows.map(({ id, name, firstParty, scopes, claims, agreedAt, begin }) =>
    itemOf(name, {
      badge: firstParty ? words.t('account.applications.own') : null,
      lines: [
        ...(scopes.length > 0 ? [{ text: thingsIn(words, { scopes, claims }), at: null }] : []),
        ...(agreedAt ? [{ text: timeOf(visit, agreedAt), at: agreedAt.toISOString() }] : []),
      ],
      link: begin ? { href: beginning(visit, begin), label: words.t('account.applications.open') } : null,
      form: buttonOf(visit, 'applications', 'button.revoke', { client: id }),
    }),
  )
  const lead = words.t(items.length > 0 ? 'account.applications.text' : 'account.applications.none')
  draw(visit, 'account/list', { heading: words.t('account.applications.title'), lead, items })
}

/** A sign-in that begins here, and that the application asks for in its turn (OpenID Connect Core 1.0 section 4). */
const beginning = ({ issuer, user, desk }: AccountVisit, begin: string): string => {
  const url = new URL(begin)
  url.searchParams.set('iss', issuerOf(desk.services.config, issuer.workspace))
  const [known] = user.identifiers
  if (known) url.searchParams.set('login_hint', known.typed)
  return url.href
}

const revoke = async (visit: AccountVisit, { client = '' }: Answer): Promise<void> => {
  const { desk, user, at } = visit
  const revoked = await changeOwn(desk.services, user, (trx) =>
    records.revoke(trx, at, { ...ownerOf(visit), clientId: client }, byOf(visit)),
  )
  if (!revoked) throw new Problem('not_found')
  seeOther(visit, 'applications', 'revoked')
}
