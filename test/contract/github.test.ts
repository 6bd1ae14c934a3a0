/** On the forge, as a part of `npm test`; on a real GitHub by `npm run contract:github`. */
import { expectations } from './expectations.ts';
import { openForge } from './forge-target.ts';
import { missingSettings, openGitHub } from './real-target.ts';

if (process.env['COATCHECK_CONTRACT'] !== 'github') expectations('the forge', openForge);
else if (missingSettings() === null) expectations('GitHub', openGitHub);
else {
  process.stderr.write(`${missingSettings()}\n`);
  process.exitCode = 1;
}
