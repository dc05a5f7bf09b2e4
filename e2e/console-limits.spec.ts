import { accept, expect, fill, follow, heading, press, test } from './operator.ts'
import { fresh, freshEmail, makePerson, makeWorkspace } from './world.ts'

test('somebody of the helpdesk who is limited to one pool meets no trace of another', async ({
  operator,
  another,
  lido,
}) => {
  const [mine, foreign] = [fresh('Mine'), fresh('Foreign')]
  const workspace = await makeWorkspace(lido, { name: fresh('Strandbad') }, [{ name: mine }, { name: foreign }])
  const [near, far] = workspace.pools
  const own = await makePerson(lido, near)
  const stranger = await makePerson(lido, far)
  const email = freshEmail('helpdesk')

  await operator.goto(`${lido.url}/console`)
  await follow(operator, 'Operators', 'New operator')
  await fill(operator, { Email: email })
  await operator.getByLabel('Role').selectOption('helpdesk')
  await press(operator, 'Save')
  await expect(operator.getByRole('status')).toHaveText(`An invitation went to ${email}.`)
  const page = await (await another()).newPage()
  await accept(page, (await lido.message(email)).link, email)
  await operator.reload()
  await follow(operator, email, 'Change')
  await operator.getByLabel(mine).check()
  await press(operator, 'Save')

  await operator.goto(`${lido.url}/console/pools/${far?.slug}/users`)
  await operator.getByRole('row', { name: stranger }).getByRole('link').click()
  const theirs = new URL(operator.url()).pathname

  for (const address of ['/console', '/console/pools', '/console/tenants', '/console/roles']) {
    await page.goto(lido.url + address)
    await expect(page.getByRole('main')).not.toContainText(foreign)
    await expect(page.getByRole('main')).not.toContainText(far?.slug ?? '')
  }
  await page.goto(`${lido.url}/console/pools`)
  await expect(page.getByRole('rowheader')).toHaveText([mine])
  await follow(page, mine, 'Users')
  await expect(page.getByRole('rowheader')).toHaveCount(1)
  await expect(page.getByRole('row', { name: own })).toBeVisible()

  const nowhere = '/console/pools/nothing-of-the-sort'
  await page.goto(lido.url + nowhere)
  const told = await said(page)
  for (const address of [
    `/console/pools/${far?.slug}`,
    `/console/pools/${far?.id}`,
    `/console/pools/${far?.slug}/users?search=${encodeURIComponent(stranger)}`,
    `/console/pools/${far?.slug}/groups`,
    theirs,
    theirs.replace(`/${far?.slug}/`, `/${near?.slug}/`),
  ]) {
    const response = await page.goto(lido.url + address)
    expect(response?.status(), address).toBe(404)
    expect(await said(page), address).toBe(told)
  }
  await page.goto(`${lido.url}/console/operators`)
  await expect(heading(page)).not.toHaveText('Operators')
})

/** What a page of a problem says, but for its reference. */
const said = async (page: Parameters<typeof heading>[0]): Promise<string> =>
  (await page.getByRole('main').innerText()).replace(/(Reference\s+)\S+/, '$1')
