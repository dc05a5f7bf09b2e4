import { reaches } from '../../directory/acr.ts'
import * as records from '../../directory/backchannel-requests.ts'
import { atLeast, wantedAcr } from '../../oidc/acr.ts'
import { answer, type Question, readQuestion } from '../../oidc/ciba.ts'
import { Problem } from '../../platform/problem.ts'
import { thingsIn } from '../scopes.ts'
import {
  type AccountSection,
  type AccountVisit,
  type Answer,
  aboutOf,
  addressOf,
  draw,
  formOf,
  itemOf,
  seeOther,
  timeOf,
} from './visit.ts'

/** What applications ask a person from elsewhere (CIBA Core 1.0); the link of a mail leads here, too. */
export const requests: AccountSection = {
  name: 'requests',
  pages: [
    { path: 'requests', always: true, get: (visit) => list(visit) },
    {
      path: 'requests/:part',
      always: true,
      sensitive: true,
      get: async (visit, part) => ask(visit, await getQuestion(visit, part)),
      post: async (visit, sent, part) => decide(visit, await getQuestion(visit, part), sent),
    },
  ],
}

const list = async (visit: AccountVisit): Promise<void> => {
  const { words, desk, at, issuer } = visit
  const waiting = await records.listWaiting(desk.services.db, at, aboutOf(visit))
  const items = await Promise.all(
    waiting.map(async ({ id, clientId, createdAt }) =>
      itemOf((await issuer.findClient(clientId))?.metadata.client_name ?? clientId, {
        lines: [{ text: timeOf(visit, createdAt), at: createdAt.toISOString() }],
        link: { href: addressOf(visit, `requests/${id}`), label: words.t('account.requests.open') },
      }),
    ),
  )
  const lead = words.t(items.length > 0 ? 'account.requests.text' : 'account.requests.none')
  draw(visit, 'account/list', { heading: words.t('account.requests.title'), lead, items })
}

/** What is asked. Throws `not_found` for what is over, answered or somebody else's: all the same. */
const getQuestion = async (visit: AccountVisit, id: string): Promise<Question> => {
  const { desk, at, issuer } = visit
  const record = /^[0-9a-f-]{36}$/.test(id)
    ? await records.findWaiting(desk.services.db, at, aboutOf(visit), id)
    : undefined
  const question = record && (await readQuestion(desk.services, issuer, record))
  if (!question) throw new Problem('not_found', { key: 'request_over' })
  return question
}

const ask = (visit: AccountVisit, { record, client, bindingMessage, scopes, claims }: Question): void => {
  const { words } = visit
  const name = client.metadata.client_name
  const facts = [
    ...(bindingMessage === undefined ? [] : [{ name: words.t('account.requests.message'), value: bindingMessage }]),
    { name: words.t('device.time'), value: timeOf(visit, record.createdAt) },
    { name: words.t('consent.scopes'), value: thingsIn(words, { scopes, claims }) },
  ]
  const form = formOf(
    visit,
    { fields: [], submit: 'button.allow' },
    {
      path: `requests/${record.id}`,
      buttons: [{ name: 'decision', value: 'deny', label: 'button.deny' }],
    },
  )
  const lead = words.t('account.requests.ask', { client: name })
  draw(visit, 'account/form', { heading: name, lead, facts, form, back: 'requests' })
}

const decide = async (visit: AccountVisit, question: Question, { decision }: Answer): Promise<void> => {
  const { desk, issuer, scene, user, session } = visit
  const { acr, amr } = session
  const wanted = atLeast(wantedAcr(question.params), question.client.metadata.acr_values_default)
  const enough = !wanted || wanted.values.some((value) => reaches(acr, value))
  // Somebody who cannot be known as surely as the client wants cannot say yes to it.
  const known = decision === 'deny' || !enough ? undefined : { acr: String(acr), amr, at: session.provedAt }
  const done = await answer({ services: desk.services, issuer, work: scene.work, user, question, known })
  if (!done) throw new Problem('not_found', { key: 'request_over' })
  seeOther(visit, 'requests', known ? 'allowed' : 'refused')
}
