import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { makePerson } from '../operators-testing.ts'
import { type ConsoleBrowser, openConsole } from './fixtures-testing.ts'
import { csrfOf, errorAt, fillIn, send, valueAt } from './forms-testing.ts'

let lido: AdminLido
let owner: ConsoleBrowser
let poolId: string
const people: string[] = []

const groups = '/console/pools/crew/groups'
before(async () => {
  lido = await adminLido()
  poolId = String((await lido.call('POST', '/pools', { slug: 'crew', name: 'Crew' })).body.id)
  await lido.call('POST', '/pools', { slug: 'strangers', name: 'Strangers' })
  for (const name of ['ada', 'bo', 'cy']) people.push(await makePerson(lido, 'crew', `${name}@example.org`))
  owner = await openConsole(lido)
})
after(() => lido.stop())

const make = async (name: string, parent: string | null = null): Promise<string> =>
  (await lido.make('/pools/crew/groups', { name, parent_id: parent })).id
const getGroup = async (id: string) => (await lido.call('GET', `/pools/crew/groups/${id}`)).body
const membersOf = async (id: string) =>
  ((await lido.call('GET', `/pools/crew/groups/${id}/members`)).body.items ?? []).map(({ id }) => id).toSorted()

test('draws the tree, makes a group below another one, and finds groups by name', async () => {
  const top = await make('Deck')
  await fillIn(owner, `${groups}/~new?parent=${top}`, { name: 'Sails', description: 'Who sets them' })
  assert.equal(owner.page.status, 200)
  const id = owner.page.url.split('/').at(-1) ?? ''
  assert.equal((await getGroup(id)).path, '/Deck/Sails')
  await owner.get(groups)
  const tree = owner.page.html.slice(owner.page.html.indexOf('<ul class="tree">'))
  assert.match(tree, /Deck<\/a> <span class="soft">1 inside<\/span>\s*<ul class="tree">\s*<li><a [^>]*>Sails</)
  await owner.get(`${groups}?search=sai`)
  assert.match(owner.page.html, />\/Deck\/Sails</)
  await owner.get(`${groups}?search=zzz`)
  assert.match(owner.page.html, /No group’s name begins so/)
})

test('says what is wrong with a name at its field, and keeps the rest', async () => {
  const top = await make('Galley')
  await fillIn(owner, `${groups}/~new?parent=${top}`, { name: 'a/b', description: 'Kept' })
  assert.equal(owner.page.status, 422)
  assert.match(errorAt(owner, 'name'), /slash/)
  assert.deepEqual([valueAt(owner, 'description'), valueAt(owner, 'parent_id')], ['Kept', top])
  await send(owner, `${groups}/~new`, { name: 'galley', parent_id: '' })
  assert.equal(owner.page.status, 422)
  assert.match(owner.page.alert ?? '', /\S/)
})

test('renames and moves, offers no place inside the group itself, and refuses a stale change', async () => {
  const [from, to] = [await make('Here'), await make('There')]
  const child = await make('Child', from)
  await owner.get(`${groups}/${from}/~edit`)
  const choices = owner.page.html.match(/<select[\s\S]*?<\/select>/)?.[0] ?? ''
  assert.ok(choices.includes(to) && !choices.includes(from) && !choices.includes(child))
  await fillIn(owner, `${groups}/${child}/~edit`, { name: 'Grown', parent_id: to })
  assert.equal((await getGroup(child)).path, '/There/Grown')
  await owner.get(`${groups}/${child}/~edit`)
  await lido.call('PATCH', `/pools/crew/groups/${child}`, { name: 'Meanwhile' })
  await send(owner, `${groups}/${child}/~edit`, { name: 'Late' })
  assert.equal(owner.page.status, 422)
  assert.equal((await getGroup(child)).name, 'Meanwhile')
})

test('deletes a group that none is in, and says where one is', async () => {
  const top = await make('Doomed')
  const child = await make('Doomed too', top)
  await fillIn(owner, `${groups}/${top}/~delete`)
  assert.equal(owner.page.status, 422)
  assert.match(owner.page.alert ?? '', /groups in this group/)
  await fillIn(owner, `${groups}/${child}/~delete`)
  await fillIn(owner, `${groups}/${top}/~delete`)
  assert.match(owner.page.html, /The group was deleted/)
  assert.equal((await lido.call('GET', `/pools/crew/groups/${top}`)).status, 404)
})

test('takes in whom a search finds and takes them out, and shows those of the groups below where asked', async () => {
  const top = await make('Bridge')
  const child = await make('Watch', top)
  await owner.get(`${groups}/${child}?find=ada`)
  await send(owner, `${groups}/${child}/members/${people[0]}/~add`)
  assert.deepEqual(await membersOf(child), [people[0]])
  await owner.get(`${groups}/${top}`)
  assert.doesNotMatch(owner.page.html, /ada@example\.org/)
  await owner.get(`${groups}/${top}?descendants=true`)
  assert.match(owner.page.html, /ada@example\.org[\s\S]*In a group below/)
  await owner.get(`${groups}/${child}`)
  await send(owner, `${groups}/${child}/members/${people[0]}/~remove`)
  assert.deepEqual(await membersOf(child), [])
})

test('takes many in from a pasted list, all of them or those who are there', async () => {
  const id = await make('Many')
  const pasted = ' ADA@example.org \n\nbo@example.org\r\nnobody@example.org\nada@example.org'
  await owner.get(`${groups}/${id}`)
  await send(owner, `${groups}/${id}/~add`, { identifiers: pasted })
  assert.equal(owner.page.status, 422)
  assert.match(errorAt(owner, 'identifiers'), /Not in this pool: nobody@example\.org$/)
  assert.match(valueAt(owner, 'identifiers') ?? '', /nobody@example\.org/)
  assert.deepEqual(await membersOf(id), [])
  await send(owner, `${groups}/${id}/~add`, { identifiers: pasted, skip: 'true' })
  assert.deepEqual(await membersOf(id), [people[0], people[1]].toSorted())
  assert.match(owner.page.html, /1 were left out/)
  const many = Array.from({ length: 201 }, (_, index) => `somebody${index}@example.org`).join('\n')
  await send(owner, `${groups}/${id}/~add`, { identifiers: many, skip: 'true' })
  assert.match(owner.page.alert ?? '', /at most 200/)
  await send(owner, `${groups}/${id}/~add`, { identifiers: ' ' })
  assert.match(owner.page.alert ?? '', /Nobody was named/)
})

test('whoever may not change groups sees no form, can send none, and nothing of another pool', async () => {
  const id = await make('Seen')
  const helper = await openConsole(lido, { role: 'helpdesk', pools: [poolId] })
  await helper.get(`${groups}/${id}`)
  assert.equal(helper.page.status, 200)
  assert.doesNotMatch(helper.page.html, /~edit|~delete|~add|~new/)
  for (const path of ['~edit', '~delete']) {
    await helper.get(`${groups}/${id}/${path}`)
    assert.equal(helper.page.status, 403, path)
  }
  await helper.post(`${groups}/${id}/~add`, { csrf: csrfOf(helper), identifiers: 'ada@example.org' })
  assert.equal(helper.page.status, 403)
  await helper.get('/console/pools/strangers/groups')
  assert.equal(helper.page.status, 404)
  await owner.get(`/console/pools/strangers/groups/${id}`)
  assert.equal(owner.page.status, 404)
  await owner.post(`${groups}/${id}/~add`, { identifiers: 'ada@example.org' })
  assert.equal(owner.page.status, 403)
  assert.deepEqual(await membersOf(id), [])
})
