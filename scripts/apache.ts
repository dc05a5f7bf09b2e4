import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

/** An Apache with mod_auth_openidc: the program, and the folder of its modules. */
export interface Apache {
  program: string
  modulesAt: string
}

/** Debian's, which is installed where there is none and we may; undefined where it cannot be had. */
export const findApache = (): Apache | undefined => onMachine() ?? installed()

const debians: Apache = { program: '/usr/sbin/apache2', modulesAt: '/usr/lib/apache2/modules' }

const onMachine = (): Apache | undefined => {
  const files = [debians.program, `${debians.modulesAt}/mod_auth_openidc.so`]
  return files.every((file) => existsSync(file)) ? debians : undefined
}

const installed = (): Apache | undefined => {
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return
  console.log('Installing Apache with mod_auth_openidc with apt-get')
  spawnSync('flock', ['/var/lib/apt', 'sh', '-c', install], {
    stdio: 'inherit',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  })
  return onMachine()
}

// The programs alone: Debian's package `apache2` would start a server of its own.
const install = `test -e ${debians.modulesAt}/mod_auth_openidc.so || {
  apt-get update -qq && apt-get install -yqq --no-install-recommends apache2-bin libapache2-mod-auth-openidc; }`
