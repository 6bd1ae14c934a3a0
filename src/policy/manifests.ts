/**
 * Files that decide which foreign code a build takes in: package manifests and lock files, by ecosystem, anywhere in
 * the tree.
 */
export const MANIFESTS: readonly string[] = [
  // JavaScript
  '**/{package,package-lock,npm-shrinkwrap,deno,bower}.json',
  '**/{deno.jsonc,jsr.json,deno.lock,yarn.lock,bun.lock,bun.lockb}',
  '**/{pnpm-lock,pnpm-workspace}.yaml',
  '**/{.npmrc,.yarnrc,.yarnrc.yml,.pnpmfile.cjs}',
  // Python
  '**/{pyproject.toml,setup.py,setup.cfg,Pipfile,Pipfile.lock,poetry.lock,pdm.lock,uv.lock,pylock.toml}',
  '**/{requirements,constraints}*.{txt,in}',
  '**/requirements/*.{txt,in}',
  '**/{environment,conda-lock}.{yml,yaml}',
  // Go, Rust
  '**/{go.mod,go.sum,go.work,go.work.sum}',
  '**/{Cargo.toml,Cargo.lock}',
  // Ruby, PHP
  '**/{Gemfile,Gemfile.lock,gems.rb,gems.locked,*.gemspec}',
  '**/composer.{json,lock}',
  // Java and its relatives
  '**/{pom.xml,gradle.lockfile,verification-metadata.xml,gradle-wrapper.properties,libs.versions.toml}',
  '**/{build,settings}.gradle{,.kts}',
  '**/{build.sbt,deps.edn,project.clj}',
  // .NET
  '**/*.{csproj,fsproj,vbproj}',
  '**/{packages.config,packages.lock.json,paket.dependencies,paket.lock}',
  '**/{Directory.Packages.props,NuGet.config,nuget.config}',
  // Others
  '**/{mix.exs,mix.lock,rebar.config,rebar.lock}',
  '**/{Package.swift,Package.resolved,Podfile,Podfile.lock,Cartfile,Cartfile.resolved}',
  '**/{pubspec.yaml,pubspec.lock}',
  '**/{conanfile.txt,conanfile.py,vcpkg.json}',
  '**/{flake.nix,flake.lock}',
];
