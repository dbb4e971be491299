//! Guest operations: authentication, processes, files.

use super::declare::{data, family, methods};
use super::value::Moref;

data! {
    /// A user and password of the guest.
    NamePasswordAuthentication {
        interactive_session: bool = "interactiveSession",
        username: String = "username",
        password: String = "password",
    }

    /// A program to start.
    GuestProgramSpec {
        /// Absolute.
        program_path: String = "programPath",
        /// Shell text on Unix guests.
        arguments: String = "arguments",
        working_directory: Option<String> = "workingDirectory",
        /// `NAME=value` each; given, they replace the whole environment on real servers.
        env_variables: Vec<String> = "envVariables",
    }

    /// A process of the guest.
    GuestProcessInfo {
        name: String = "name",
        pid: i64 = "pid",
        owner: String = "owner",
        cmd_line: String = "cmdLine",
        start_time: String = "startTime",
        end_time: Option<String> = "endTime",
        /// 0 for a death by signal, too.
        exit_code: Option<i32> = "exitCode",
    }

    /// A page of a directory.
    GuestListFileInfo {
        files: Vec<GuestFileInfo> = "files",
        remaining: i32 = "remaining",
    }

    /// A file of the guest.
    GuestFileInfo {
        path: String = "path",
        /// `file`, `directory` or `symlink`.
        kind: String = "type",
        /// Bytes.
        size: i64 = "size",
        attributes: GuestFileAttributes = "attributes",
    }

    /// Attributes of a file on Unix guests.
    GuestPosixFileAttributes {
        modification_time: Option<String> = "modificationTime",
        access_time: Option<String> = "accessTime",
        symlink_target: Option<String> = "symlinkTarget",
        owner_id: Option<i32> = "ownerId",
        group_id: Option<i32> = "groupId",
        /// The mode, in decimal: 493 is 0755.
        permissions: Option<i64> = "permissions",
    }

    /// Attributes of a file on Windows guests.
    GuestWindowsFileAttributes {
        modification_time: Option<String> = "modificationTime",
        access_time: Option<String> = "accessTime",
        symlink_target: Option<String> = "symlinkTarget",
        hidden: Option<bool> = "hidden",
        read_only: Option<bool> = "readOnly",
        create_time: Option<String> = "createTime",
    }

    /// Where to fetch a file from.
    FileTransferInformation {
        /// Always there on real servers; simulators leave it out.
        attributes: Option<GuestFileAttributes> = "attributes",
        /// Bytes.
        size: i64 = "size",
        url: String = "url",
    }
}

family! {
    /// How to log in to the guest.
    GuestAuthentication {
        NamePassword(NamePasswordAuthentication),
    }

    /// Attributes of a file.
    GuestFileAttributes {
        Posix(GuestPosixFileAttributes),
        Windows(GuestWindowsFileAttributes),
    }
}

methods! {
    /// Checks a user and password.
    read ValidateCredentialsInGuest = "ValidateCredentialsInGuest" {
        vm: Moref = "vm",
        auth: GuestAuthentication = "auth",
    } -> ();
    /// Starts a program; returns its process id.
    write StartProgramInGuest = "StartProgramInGuest" {
        vm: Moref = "vm",
        auth: GuestAuthentication = "auth",
        spec: GuestProgramSpec = "spec",
    } -> i64;
    /// Lists processes: all, or those started here with the given ids.
    read ListProcessesInGuest = "ListProcessesInGuest" {
        vm: Moref = "vm",
        auth: GuestAuthentication = "auth",
        pids: Vec<i64> = "pids",
    } -> Vec<GuestProcessInfo>;
    /// Ends a process.
    read TerminateProcessInGuest = "TerminateProcessInGuest" {
        vm: Moref = "vm",
        auth: GuestAuthentication = "auth",
        pid: i64 = "pid",
    } -> ();
    /// Reads environment variables: all, or the given ones.
    read ReadEnvironmentVariableInGuest = "ReadEnvironmentVariableInGuest" {
        vm: Moref = "vm",
        auth: GuestAuthentication = "auth",
        names: Vec<String> = "names",
    } -> Vec<String>;
    /// Makes a directory.
    write MakeDirectoryInGuest = "MakeDirectoryInGuest" {
        vm: Moref = "vm",
        auth: GuestAuthentication = "auth",
        directory_path: String = "directoryPath",
        create_parent_directories: bool = "createParentDirectories",
    } -> ();
    /// Deletes a file.
    write DeleteFileInGuest = "DeleteFileInGuest" {
        vm: Moref = "vm",
        auth: GuestAuthentication = "auth",
        file_path: String = "filePath",
    } -> ();
    /// Deletes a directory.
    write DeleteDirectoryInGuest = "DeleteDirectoryInGuest" {
        vm: Moref = "vm",
        auth: GuestAuthentication = "auth",
        directory_path: String = "directoryPath",
        recursive: bool = "recursive",
    } -> ();
    /// Moves a directory.
    write MoveDirectoryInGuest = "MoveDirectoryInGuest" {
        vm: Moref = "vm",
        auth: GuestAuthentication = "auth",
        src_directory_path: String = "srcDirectoryPath",
        dst_directory_path: String = "dstDirectoryPath",
    } -> ();
    /// Moves a file.
    write MoveFileInGuest = "MoveFileInGuest" {
        vm: Moref = "vm",
        auth: GuestAuthentication = "auth",
        src_file_path: String = "srcFilePath",
        dst_file_path: String = "dstFilePath",
        overwrite: bool = "overwrite",
    } -> ();
    /// Lists a directory, or one file.
    read ListFilesInGuest = "ListFilesInGuest" {
        vm: Moref = "vm",
        auth: GuestAuthentication = "auth",
        file_path: String = "filePath",
        index: Option<i32> = "index",
        max_results: Option<i32> = "maxResults",
        match_pattern: Option<String> = "matchPattern",
    } -> GuestListFileInfo;
    /// Makes a directory with a name of its own; returns its path.
    write CreateTemporaryDirectoryInGuest = "CreateTemporaryDirectoryInGuest" {
        vm: Moref = "vm",
        auth: GuestAuthentication = "auth",
        prefix: String = "prefix",
        suffix: String = "suffix",
        directory_path: Option<String> = "directoryPath",
    } -> String;
    /// Makes a file with a name of its own; returns its path.
    write CreateTemporaryFileInGuest = "CreateTemporaryFileInGuest" {
        vm: Moref = "vm",
        auth: GuestAuthentication = "auth",
        prefix: String = "prefix",
        suffix: String = "suffix",
        directory_path: Option<String> = "directoryPath",
    } -> String;
    /// Sets attributes of a file.
    read ChangeFileAttributesInGuest = "ChangeFileAttributesInGuest" {
        vm: Moref = "vm",
        auth: GuestAuthentication = "auth",
        guest_file_path: String = "guestFilePath",
        file_attributes: GuestFileAttributes = "fileAttributes",
    } -> ();
    /// Asks for a URL to send a file to.
    read InitiateFileTransferToGuest = "InitiateFileTransferToGuest" {
        vm: Moref = "vm",
        auth: GuestAuthentication = "auth",
        guest_file_path: String = "guestFilePath",
        file_attributes: GuestFileAttributes = "fileAttributes",
        file_size: i64 = "fileSize",
        overwrite: bool = "overwrite",
    } -> String;
    /// Asks for a URL to fetch a file from.
    read InitiateFileTransferFromGuest = "InitiateFileTransferFromGuest" {
        vm: Moref = "vm",
        auth: GuestAuthentication = "auth",
        guest_file_path: String = "guestFilePath",
    } -> FileTransferInformation;
}
